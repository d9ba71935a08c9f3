# SSH by dropbear, as a service of the supervisor: `busybox sh ssh.sh <login> <port>`. The host key is made once for the life
# of the container; dropbear reads the keys of people at each login. An image with a read-only /etc has no SSH.
home=${0%/*} login=$1 port=$2
# Dropbear trusts no keys below a directory that others may write to, as an emptyDir is made.
"$home/busybox" chmod go-w "$home" || exit 1
[ -s "$home/access/host_key" ] || "$home/dropbearkey" -t ed25519 -f "$home/access/host_key" >/dev/null || exit 1
"$home/dropbearkey" -y -f "$home/access/host_key" | "$home/busybox" grep '^ssh-' >"$home/access/host_key.pub"
# For an image without a shell.
"$home/busybox" ln -sf busybox "$home/sh" || exit 1
# Every session begins with this program. Dropbear admits a login only if /etc/shells lists its shell.
shell=$home/session
"$home/busybox" grep -qx "$shell" /etc/shells 2>/dev/null || echo "$shell" >>/etc/shells || exit 1
"$home/busybox" grep -q "^$login:" /etc/passwd 2>/dev/null ||
  echo "$login:x:$("$home/busybox" id -u):$("$home/busybox" id -g)::${HOME:-/}:$shell" >>/etc/passwd || exit 1
# Dropbear passes this environment on (-e), but sets PATH anew.
export BERTH_IMAGE_PATH="$PATH"
exec "$home/dropbear" -F -E -e -s -m -p "$port" -r "$home/access/host_key" -D "$home/access"
