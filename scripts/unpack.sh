#!/bin/sh
# unpack.sh PACKAGE ...: puts the files of Debian packages below .cache/debian/PACKAGE without installing them: programs that only tests run,
# from packages that would start services. What is there already is left as it is.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache/debian
cd .cache/debian
absent=
for package in "$@"; do
  [ -d "$package" ] || absent="$absent $package"
done
[ -n "$absent" ] || exit 0

# Whatever is interrupted is left in here, under a name that nobody looks for.
work=$(mktemp -d "$PWD/.unpacking.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
# As root, apt would hand the download to a user who may not write here.
download() { apt-get download -q -o APT::Sandbox::User=root "$1" >"$1.log" 2>&1; }
failed=
for package in $absent; do
  if ! download "$package"; then
    apt-get update -q >update.log 2>&1 || true
    download "$package" || { failed="$failed $package"; tail -n 3 "$package.log" >&2; continue; }
  fi
  dpkg -x "$package"_*.deb "$package"
  # Another run may have been faster; then its files are as good.
  mv -T "$package" "../$package" 2>/dev/null || [ -d "../$package" ]
done
[ -z "$failed" ] || { echo "Cannot unpack the Debian packages:$failed" >&2; exit 1; }
