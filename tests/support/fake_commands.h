// Programs as changes of a FakeSystem's own state, and a whole host to start from.
#pragma once
#include "tests/support/fake_system.h"

namespace converge {

/// systemctl: daemon-reload (drop-ins become unit properties and, for a running slice, files of its cgroup), start,
/// stop, restart, try-restart, reload, enable, disable (--now), is-active, is-enabled. unit() answers NeedDaemonReload.
void install_systemctl(FakeSystem& host);
/// systemd-run --uid=... and runuser -u ...: a new session, whose /proc/self/limits pam_limits has set.
void install_logins(FakeSystem& host);
/// rc-service NAME start|stop|restart|status and rc-update add|del NAME [RUNLEVEL]. The host has no systemd any more.
void install_openrc(FakeSystem& host);
/// A service of OpenRC: its script in /etc/init.d.
void put_openrc_service(FakeSystem& host, std::string_view name, bool running, bool enabled);
/// True if OpenRC runs it.
bool openrc_running(const FakeSystem& host, std::string_view name);

/// A fresh CoulombCore: Debian 12, systemd, 8 GiB, user tegwick (uid 1000), three git repositories in the home, k3s
/// running since long ago, /etc/fstab with two lines, commented limits.conf, an ext4 root with 60 GiB free, no swap.
FakeSystem fake_debian();
/// The facts such a host would gather.
Facts fake_facts(const FakeSystem& host);

}  // namespace converge
