import { pageConfig } from '../web/vite-page.js';

export default pageConfig('demo', { base: './' });
