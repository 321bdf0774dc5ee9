#!/bin/sh
# /usr/local/sbin/telemed-sync, for root beside the unit of systemd: a command of the server, as its user and with its
# options, such as `telemed-sync backup /var/lib/telemed-sync/backups`. Names of files are those in /var/lib/telemed-sync.
exec runuser -u telemed-sync -- sh -c '
  set -a
  NODE_ENV=production
  DATA_DIR=/var/lib/telemed-sync/data
  . /etc/telemed-sync/env
  cd /var/lib/telemed-sync && exec /opt/telemed-sync/node_modules/.bin/telemed-sync "$@"
' telemed-sync "$@"
