#!/bin/sh
# /usr/local/sbin/telemed-sync, for root beside the unit of systemd: a command of the server, as its user and with its
# options, such as `telemed-sync backup /var/lib/telemed-sync/backups`. Names of files are those in /var/lib/telemed-sync.

# cron has a PATH without the folder of runuser.
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
NODE_ENV=production
DATA_DIR=/var/lib/telemed-sync/data
export PATH NODE_ENV DATA_DIR

# Each line is text, as systemd reads it: a shell would take an & or a $ of an address or a secret for its own.
while IFS= read -r line || [ -n "$line" ]; do
  line=${line%"${line##*[![:space:]]}"}
  case ${line%%=*} in *[!A-Za-z0-9_]*) continue ;; esac
  case $line in
    [A-Z]*=\"*\" | [A-Z]*=\'*\')
      value=${line#*=?}
      export "${line%%=*}=${value%?}"
      ;;
    [A-Z]*=*) export "$line" ;;
  esac
done </etc/telemed-sync/env || exit 1

cd /var/lib/telemed-sync || {
  echo 'The server has not been started yet: systemctl start telemed-sync makes its folder.' >&2
  exit 1
}
exec runuser -u telemed-sync -- /opt/telemed-sync/node_modules/.bin/telemed-sync "$@"
