// ssh-keygen, ssh -G, git and k3s as changes of a FakeSystem's own files.
#pragma once
#include "tests/support/fake_system.h"

namespace converge {

/// An ed25519 pair in OpenSSH's own format, syntactically whole; the same for the same seed. `cipher` other than
/// "none": the private part is unreadable, as with a passphrase.
struct FakeKey {
  std::string private_key, public_key;  // public_key: one line with its ending
};
FakeKey fake_key(std::string_view seed, std::string_view comment, std::string_view cipher = "none",
                 std::string_view type = "ssh-ed25519");

/// ssh-keygen -t -f (makes files with the user's owner; refuses to overwrite) and -y -f.
void install_ssh_keygen(FakeSystem& host);
/// ssh -G -- ALIAS from ~/.ssh/config: first value wins, Host patterns; refuses or ignores a file as ssh does.
void install_ssh(FakeSystem& host);
/// ssh-keyscan that offers these keys ("ssh-ed25519 AAAA...") for any host.
void install_ssh_keyscan(FakeSystem& host, std::vector<std::string> keys);
/// git -C DIR: config --list -z --show-origin --show-scope, config KEY VALUE, rev-parse --git-dir, remote add, set-url
/// and get-url, on DIR/.git/config (or DIR/config of a bare repository) and ~/.gitconfig.
void install_git(FakeSystem& host);
/// k3s kubectl get --raw=/readyz, and kubectl wait for its node: ready while a unit of k3s is active.
void install_k3s(FakeSystem& host);
/// What k3s does when it starts: containerd's hosts.toml files are made anew from registries.yaml.
void k3s_has_started(FakeSystem& host);

}  // namespace converge
