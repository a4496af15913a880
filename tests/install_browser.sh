#!/usr/bin/env bash
# The browser of the review page's tests, Debian's chromium. Does nothing where there is one already; where it cannot
# be installed it says so, and the tests that need it are skipped, or, with CI=true, fail.
set -euo pipefail
if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then
  exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing chromium for the tests of the review page"
  export DEBIAN_FRONTEND=noninteractive
  if { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core; } >/dev/null; then
    exit 0
  fi
fi
echo "no chromium, and it cannot be installed here: the browser tests of the review page will not run" >&2
