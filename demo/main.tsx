import { mount } from '../web/mount.js';
import { clientActor, jsonActor } from './actors.js';
import { App } from './app.js';
import { openDevice } from './device.js';
import { DEVICE_IDS, USER } from './identity.js';
import { JsonDevice } from './json-device.js';
import { Player } from './play/player.js';
import { addSamplesOnce } from './samples.js';

/** `?pace=0.2` plays scenes five times as fast. */
const PACE = Number(new URLSearchParams(location.search).get('pace')) || 1;

const devices = [openDevice('phone', 'Phone'), openDevice('tablet', 'Tablet')] as const;
const oldApp = new JsonDevice(USER, DEVICE_IDS.oldApp);
const actors = {
  phone: clientActor(devices[0]),
  tablet: clientActor(devices[1]),
  'old-app': jsonActor(oldApp),
};
const player = new Player(actors, devices[0].client, PACE);
void player.begin();
void addSamplesOnce(devices[0].client).catch(() => {}); // the button for it stays
mount(<App {...{ devices, oldApp, actors, player }} />);

// Browsers allow it on localhost and over TLS only; elsewhere a reload needs the server.
if ('serviceWorker' in navigator) void navigator.serviceWorker.register('./sw.js').catch(() => {});
