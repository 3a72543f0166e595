#!/usr/bin/env bash
# Read by the scripts beside this folder: fetches installer components (udebs) with apt, which checks signatures and digests.

# open_udebs MIRROR SUITE FOLDER: reads the archive's lists into FOLDER; nothing of this computer's own apt is touched.
open_udebs() {
  local mirror=$1 suite=$2 folder=$3 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [[ -e $keyring ]] || { echo "missing packages: debian-archive-keyring (apt-get install debian-archive-keyring)" >&2; return 1; }
  mkdir -p "$folder"/{lists/partial,cache/archives/partial,etc}
  : >"$folder/status"
  printf 'deb [arch=amd64 signed-by=%s] %s %s main/debian-installer\n' "$keyring" "${mirror%/}" "$suite" >"$folder/sources.list"
  udeb_apt=(apt-get -qq
    -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State=$folder" -o "Dir::State::Lists=$folder/lists" -o "Dir::State::Status=$folder/status"
    -o "Dir::Cache=$folder/cache" -o APT::Architecture=amd64 -o APT::Architectures=amd64
    -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Get::List-Cleanup=0)
  "${udeb_apt[@]}" update
}

# get_udebs FOLDER NAME…: puts NAME_*.udeb into FOLDER; fails when the archive does not give one of them out.
get_udebs() {
  local folder=$1
  shift
  (cd "$folder" && "${udeb_apt[@]}" download "$@")
}
