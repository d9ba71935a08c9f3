# SSH by dropbear, as a service of the supervisor: `busybox sh ssh.sh <login> <port>`. The host key is made once for the life
# of the container; keys of people are read at each login. An image that lets nobody write its list of users has no SSH.
home=${0%/*} login=$1 port=$2
umask 077
# Dropbear trusts no keys below a directory that others may write to, as an emptyDir is made.
"$home/busybox" chmod go-w "$home" || exit 1
[ -s "$home/access/host_key" ] || "$home/dropbearkey" -t ed25519 -f "$home/access/host_key" >/dev/null || exit 1
"$home/dropbearkey" -y -f "$home/access/host_key" | "$home/busybox" grep '^ssh-' >"$home/access/host_key.pub"
shell=/bin/sh
if [ ! -x "$shell" ]; then
  shell=$home/sh
  "$home/busybox" ln -sf busybox "$shell" || exit 1
fi
# Dropbear lets nobody in whose shell is not among those of the image.
"$home/busybox" grep -qx "$shell" /etc/shells 2>/dev/null || echo "$shell" >>/etc/shells || exit 1
"$home/busybox" grep -q "^$login:" /etc/passwd 2>/dev/null ||
  echo "$login:x:$("$home/busybox" id -u):$("$home/busybox" id -g)::${HOME:-/}:$shell" >>/etc/passwd || exit 1
exec "$home/dropbear" -F -E -e -s -m -p "$port" -r "$home/access/host_key" -D "$home/access"
