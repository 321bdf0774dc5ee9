import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.js';
import { openDevice } from './device.js';
import { DEVICE_IDS, USER } from './identity.js';
import { JsonDevice } from './json-device.js';
import { addSamplesOnce } from './samples.js';

const devices = [openDevice('phone', 'Phone'), openDevice('tablet', 'Tablet')] as const;
const oldApp = new JsonDevice(USER, DEVICE_IDS.oldApp);
void addSamplesOnce(devices[0].client).catch(() => {}); // the button for it stays
const app = document.getElementById('app');

if (app !== null) {
  createRoot(app).render(
    <StrictMode>
      <App devices={devices} oldApp={oldApp} />
    </StrictMode>,
  );
}

// Browsers allow it on localhost and over TLS only; elsewhere a reload needs the server.
if ('serviceWorker' in navigator) void navigator.serviceWorker.register('./sw.js').catch(() => {});
