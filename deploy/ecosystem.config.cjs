/**
 * PM2: `AUTH=jwt JWT_PUBLIC_KEY=… DATA_DIR=… pm2 start deploy/ecosystem.config.cjs`. What is set in the shell when PM2
 * starts it holds, and again after `pm2 reload … --update-env`.
 */
const { existsSync } = require('node:fs');
const { resolve } = require('node:path');

/** In a checkout, and in node_modules/telemed-sync-server. */
const places = ['../packages/server/dist', '../dist'].map((dist) =>
  resolve(__dirname, dist, 'server/cli/main.cjs'),
);

module.exports = {
  apps: [
    {
      name: 'telemed-sync',
      script: places.find(existsSync) ?? places[0],
      node_args: '--max-semi-space-size=16',
      // One process owns the database. In cluster mode, or with more instances, each further one is refused.
      exec_mode: 'fork',
      instances: 1,
      // The server needs up to 10 s to make everything durable; PM2 would kill it after 1.6 s.
      kill_timeout: 11_000,
      exp_backoff_restart_delay: 500,
      env: { NODE_ENV: 'production' },
    },
  ],
};
