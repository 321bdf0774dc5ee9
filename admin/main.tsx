import { mount } from '../web/mount.js';
import { App } from './app.js';

mount(<App />);
