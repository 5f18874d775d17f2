#!/bin/sh
# What the guest runs: the kernel's own modules at hand, then tests; their report goes out by the second serial line.
# $1: the tree, $2: the folder of kernel modules, $3: busybox, $4: "no" leaves the bench out, then paths of tests.
tree=$1 modules=$2 busybox=$3 bench=$4
shift 4
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NO_COLOR=1 SLUICE_TEST_KERNEL=1 SLUICE_TEST_PATIENCE=20000
mount -t bpf bpf /sys/fs/bpf
mkdir -p /lib/modules
mount --bind "$modules" /lib/modules
# The kernel calls it when a device or table wants a module.
cp "$busybox" /sbin/modprobe
sysctl -qw net.core.bpf_jit_enable=1
ip link set lo up
echo "guest: Linux $(uname -r), up after $(cut -d' ' -f1 /proc/uptime) s"
cd "$tree" || exit 1
bin/bun test --parallel=2 --timeout=120000 --reporter=junit --reporter-outfile=/tmp/report.xml "$@" </dev/null 2>&1
cat /tmp/report.xml >/dev/ttyS1
[ $bench = no ] || bin/bun bench/run.ts ipvs --seconds=1 </dev/null 2>&1
echo "guest: done after $(cut -d' ' -f1 /proc/uptime) s"
