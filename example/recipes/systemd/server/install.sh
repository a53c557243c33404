#!/bin/sh
# Makes a Debian server ready, once, as root, from this folder: users, folders, units, the front door.
# Needed before: openssh-server, sudo, python3 with what the application needs, /usr/bin/caddy (2.11 or later).
set -eu
cd "$(dirname "$0")"
for user in store caddy; do
  id "$user" >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin "$user"
done
id deploy >/dev/null 2>&1 || useradd --create-home --shell /bin/sh deploy
install -d /srv/store /srv/store/releases /srv/store/instances /etc/store
[ -e /srv/store/below ] || : >/srv/store/below
install -m 0644 store@.service store-door.service /etc/systemd/system/
install -m 0644 Caddyfile /etc/store/
install -m 0755 deploy-unit /usr/local/sbin/
install -m 0440 sudoers /etc/sudoers.d/store
if [ ! -e /etc/store/door.env ]; then
  (umask 077 && echo "DOOR_TOKEN=$(tr -dc A-Za-z0-9 </dev/urandom | head -c 32)" >/etc/store/door.env)
fi
systemctl daemon-reload
systemctl enable --now store-door
