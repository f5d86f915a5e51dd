# What the scripts in shell share.
#
# usage "$@"                   prints the head of the script if --help is asked for
# environment FOLDER EXTRAS    a virtual environment beside the code, EXTRAS like
#                              "[test,train]", or empty

stop() {
  echo "$1" >&2
  exit 3
}

usage() {
  case ${1:-} in
    -h | --help)
      awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "scripts/$(basename "$0")"
      exit
      ;;
  esac
}

find_python() {
  for name in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
    if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 &&
      "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

environment() {
  folder=$1 extras=$2
  python=$(find_python) ||
    stop "Python 3.10 or newer was not found; install it, or name it: PYTHON=/path/to/python3 $0"
  if ! [ -x "$folder/bin/python" ]; then
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
      stop "Python's venv module is missing; on Debian and Ubuntu: sudo apt-get install python3-venv"
    "$python" -m venv "$folder" || stop "no virtual environment could be made in $folder"
  fi
  # Installing again is needed only when what is to be installed has changed.
  want="$(cat pyproject.toml) $extras"
  if [ "$(cat "$folder/.installed" 2>/dev/null)" != "$want" ]; then
    echo "installing into $folder (once) ..." >&2
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -e ".$extras" ||
      stop "the installation failed; pip's message above says why (is there a network?)"
    printf '%s' "$want" >"$folder/.installed"
  fi
}
