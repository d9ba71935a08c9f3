# Builds dropbear and busybox as static programs: `sh programs.sh <tarballs> <results>`. The images that they run in have any
# C library or none. The Dockerfile and `npm run images` both run it. Equal tarballs and compilers give equal programs.
set -eu
tarballs=$1 results=$2
mkdir -p "$results"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir musl dropbear busybox headers
tar -xzf "$tarballs/musl.tar.gz" -C musl --strip-components=1
tar -xjf "$tarballs/dropbear.tar.bz2" -C dropbear --strip-components=1
tar -xjf "$tarballs/busybox.tar.bz2" -C busybox --strip-components=1
# Paths of this folder and times of the build would differ each time.
export CFLAGS="-Os -ffile-prefix-map=$work=." KCONFIG_NOTIMESTAMP=1 SOURCE_DATE_EPOCH=0 LC_ALL=C TZ=UTC

# glibc opens shared libraries in static programs too, to find users.
(cd musl && ./configure --prefix="$work/libc" --disable-shared --enable-wrapper=gcc && make -j2 install)

# The kernel's headers come with every C library but musl.
for name in linux asm asm-generic mtd; do
  for from in "/usr/include/$(gcc -print-multiarch)" /usr/include; do
    [ ! -d "$from/$name" ] || ln -sfn "$from/$name" "headers/$name"
  done
done
compiler="$work/libc/bin/musl-gcc -isystem $work/headers"

# Berth's runs have no passwords, and musl's crypt(3) is not linked.
printf '#define DROPBEAR_SVR_PASSWORD_AUTH 0\n' >dropbear/localoptions.h
# Dropbear closes a terminal when the client's input ends, which hangs up the command: `ssh -tt <job> <command> </dev/null`
# lost output and exit code. OpenSSH closes only a copy.
sed -i -e 's/channel->writefd = chansess->master;/channel->writefd = dup(chansess->master);/' \
  -e 's/ses.maxfd = MAX(ses.maxfd, chansess->master);/ses.maxfd = MAX(ses.maxfd, MAX(chansess->master, channel->writefd));/' \
  dropbear/src/svr-chansession.c
[ "$(grep -c 'dup(chansess->master)\|chansess->master, channel->writefd' dropbear/src/svr-chansession.c)" -eq 2 ]
(cd dropbear &&
  ./configure CC="$compiler" LDFLAGS=-static --enable-static --disable-zlib --disable-lastlog --disable-utmp --disable-wtmp &&
  make -j2 PROGRAMS="dropbear dropbearkey scp")

# Its shell finds the other applets in itself: none of them is on the PATH of an image.
(cd busybox && make defconfig &&
  sed -i -e 's/^# CONFIG_STATIC is not set/CONFIG_STATIC=y/' -e 's/^# CONFIG_FEATURE_SH_STANDALONE is not set/CONFIG_FEATURE_SH_STANDALONE=y/' \
    -e 's/^# CONFIG_FEATURE_PREFER_APPLETS is not set/CONFIG_FEATURE_PREFER_APPLETS=y/' -e 's/^CONFIG_TC=y/# CONFIG_TC is not set/' .config &&
  { yes "" || true; } | make oldconfig && make -j2 CC="$compiler" busybox)

for program in dropbear/dropbear dropbear/dropbearkey dropbear/scp busybox/busybox; do
  strip "$program"
  cp "$program" "$results/"
done
