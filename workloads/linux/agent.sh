# Runs the Linux profile's programs and speaks the control protocol (engines/process/guest-control.ts): as the init of the
# Debian guest, and on bare metal, where it is the same busybox's shell that reads it.
#
#   ROOT      where Debian's programs lie ('' in the guest)
#   START     what starts one of them: its dynamic loader with the libraries' folder, or nothing
#   WORK      a folder to write to
#   DISK      a block device or a file; '' without one
#   CPUS      how many there are
#
# A program runs once a unit, from a script function unit_NAME; its output must be the same each time.

set -f
say() { printf '%s\n' "$*"; }
debian() { program=$1; shift; $START "$ROOT/usr/bin/$program" "$@"; }

# Microseconds by this machine's own clock; a variable of the shell, so that reading it starts no process.
clock() { micros=${EPOCHREALTIME%.*}${EPOCHREALTIME#*.}; }

text() { # bytes: words and numbers by Lehmer's generator (exact in double precision), the same everywhere
  awk -v bytes="$1" 'BEGIN { n = split("the of and to in is it that was for on are with as at be this from", w, " "); x = 1
    for (b = 0; b < bytes; b += length(s) + 1) { x = (x * 16807) % 2147483647; s = w[x % n + 1] " " x % 10007; print s } }' | head -c "$1"
}
input() { [ -s "$WORK/$1" ] || text "$1" >"$WORK/$1"; }
stress() { debian stress-ng --quiet --no-rand-seed --temp-path "$WORK" "$@" </dev/null; }

# fio's terse output, version 3: field 6 is KiB read, field 9 milliseconds.
fio_read() { # engine, depth
  debian fio --name=r --filename="$DISK" --readonly --rw=randread --bs=4k --direct=1 --ioengine="$1" --iodepth="$2" \
    --time_based --runtime="$FIO_SECONDS" --thread --output-format=terse --terse-version=3 >"$WORK/fio" 2>"$WORK/fio.err" || return 1
  set -- $(awk -F';' '$1 == 3 { printf "%d %d", $6 / 4, ($6 > 0) ? $9 * 1000000 / ($6 / 4) : 0 }' "$WORK/fio")
  ops=$((ops + $1)) latns=$2
}

setup_busybox_sha256() { input 1048576; }
unit_busybox_sha256() { sha256sum <"$WORK/1048576"; }
setup_gzip() { input 524288; }
unit_gzip() { debian gzip -6 -n -c <"$WORK/524288" | cksum; }
setup_xz() { input 262144; }
unit_xz() { debian xz -1 -T1 -c <"$WORK/262144" | cksum; }
unit_stress_int() { stress --cpu 1 --cpu-method int64 --cpu-ops 40; }
unit_stress_float() { stress --cpu 1 --cpu-method double --cpu-ops 40; }
unit_stress_matrix() { stress --matrix 1 --matrix-method prod --matrix-ops 10; }
unit_stress_fork() { stress --fork 1 --fork-ops 40; }
unit_stress_pipe() { stress --pipe 1 --pipe-ops 2000; }
unit_fio_randread_4k_qd1() { fio_read psync 1; }
unit_fio_randread_4k_qd32() { fio_read libaio 32; }

prepare() { # linux/NAME seed=… cpus=…
  case $1 in linux/*) ;; *) say "error $1 is no workload of the Linux profile"; return ;; esac
  name=$(printf %s "${1#linux/}" | tr - _)
  type "unit_$name" >/dev/null 2>&1 || { say "error no workload $1"; return; }
  case $name in fio_*) [ -n "$DISK" ] || { say "skipped $1 a disk is needed"; return; } ;; esac
  type "setup_$name" >/dev/null 2>&1 && "setup_$name"
  ops=0 latns=
  FIO_SECONDS=1
  "unit_$name" >"$WORK/expected" 2>"$WORK/error" && say "ready $1" || say "error $1 fails: $(tail -n 1 "$WORK/error")"
}

sample() { # milliseconds
  units=0 errors=0 ops=0 latns=
  # A program with a length of its own gets the sample's.
  FIO_SECONDS=$((($1 + 999) / 1000))
  clock; begin=$micros
  printf '\002'
  while [ "$1" -gt 0 ]; do
    "unit_$name" >"$WORK/output" 2>"$WORK/error" || errors=$((errors + 1))
    units=$((units + 1))
    cmp -s "$WORK/expected" "$WORK/output" || errors=$((errors + 1))
    clock
    [ $((micros - begin)) -lt $(($1 * 1000)) ] || break
  done
  printf '\003'
  clock
  ns=$(((micros - begin) * 1000))
  case $name in fio_*) ;; *) ops=$units ;; esac
  sum=$(sha256sum <"$WORK/expected")
  say "result units=$units ops=$ops checksum=${sum%"${sum#????????????????}"} errors=$errors ns=$ns${latns:+ latns=$latns}"
}

start() { # ms=… seed=…
  ms=250
  for word in "$@"; do case $word in ms=*) ms=${word#ms=} ;; esac; done
  [ "$ms" = 0 ] || [ -n "${name:-}" ] || { say 'error nothing is prepared'; return; }
  sample "$ms"
}

say "virtax-guest 1 ready port=linux cpus=$CPUS disk=$([ -n "$DISK" ] && echo 1 || echo 0) net=0"
while read -r command rest; do
  # shellcheck disable=SC2086 # words are wanted
  case $command in
    prepare) prepare $rest ;;
    start) start $rest ;;
    poweroff) break ;;
    '') ;;
    *) say "error no command $command" ;;
  esac
done
