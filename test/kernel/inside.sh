#!/bin/sh
# What the guest runs: the kernel's own modules at hand, then a command; its report goes out by the second serial line.
# $1: the tree, $2: the folder of kernel modules, $3: busybox, $4: the command.
tree=$1 modules=$2 busybox=$3 command=$4
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NO_COLOR=1 SLUICE_TEST_KERNEL=1 SLUICE_TEST_PATIENCE=20000
export REPORT=/run/report
mount -t bpf bpf /sys/fs/bpf
mkdir -p /lib/modules
mount --bind "$modules" /lib/modules
# The kernel calls it when a device or table wants a module.
cp "$busybox" /sbin/modprobe
sysctl -qw net.core.bpf_jit_enable=1
ip link set lo up
echo "guest: Linux $(uname -r), up after $(cut -d' ' -f1 /proc/uptime) s"
cd "$tree" || exit 1
sh -c "$command" </dev/null 2>&1
cat $REPORT >/dev/ttyS1
echo "guest: done after $(cut -d' ' -f1 /proc/uptime) s"
