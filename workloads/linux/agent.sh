# Runs the Linux profile's programs and speaks the control protocol (engines/process/guest-control.ts): as the init of the
# Debian guest, and on bare metal, where it is the same busybox's shell that reads it.
#
#   ROOT      where Debian's programs lie ('' in the guest)
#   START     what starts one of them: its dynamic loader with the libraries' folder, or nothing
#   TEXT      a file of 1 MiB of text
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

input() { [ -s "$WORK/$1" ] || head -c "$1" "$TEXT" >"$WORK/$1"; } # bytes

# What a program says that it took: its own start is not in it.
timed() { ops=$((ops + $1)) took=$((took + $2)); } # operations, nanoseconds

stress() {
  debian stress-ng --quiet --metrics-brief --yaml "$WORK/stress" --no-rand-seed --temp-path "$WORK" "$@" \
    </dev/null >/dev/null || return 1
  timed $(awk '$1 == "bogo-ops:" { n = $2 } $1 == "wall-clock-time:" { t = $2 } END { printf "%.0f %.0f", n, t * 1000000000 }' "$WORK/stress")
}

# fio's terse output, version 3: field 6 is KiB read, field 9 milliseconds.
fio_read() { # engine, depth
  debian fio --name=r --filename="$DISK" --readonly --rw=randread --bs=4k --direct=1 --ioengine="$1" --iodepth="$2" \
    --time_based --runtime="$FIO_SECONDS" --thread --output-format=terse --terse-version=3 >"$WORK/fio" 2>"$WORK/fio.err" || return 1
  timed $(awk -F';' '$1 == 3 { printf "%.0f %.0f", $6 / 4, $9 * 1000000 }' "$WORK/fio")
}

setup_busybox_sha256() { input 1048576; }
unit_busybox_sha256() { sha256sum <"$WORK/1048576"; }
setup_gzip() { input 524288; }
unit_gzip() { debian gzip -6 -n -c <"$WORK/524288" | md5sum; }
setup_xz() { input 262144; }
unit_xz() { debian xz -1 -T1 -c <"$WORK/262144" | md5sum; }
unit_stress_int64() { stress --cpu 1 --cpu-method int64 --cpu-ops 100; }
unit_stress_double() { stress --cpu 1 --cpu-method double --cpu-ops 20; }
unit_stress_fft() { stress --cpu 1 --cpu-method fft --cpu-ops 50; }
unit_stress_crc16() { stress --cpu 1 --cpu-method crc16 --cpu-ops 50; }
unit_stress_queens() { stress --cpu 1 --cpu-method queens --cpu-ops 20; }
unit_stress_matrix() { stress --matrix 1 --matrix-method prod --matrix-ops 20; }
unit_stress_fork() { stress --fork 1 --fork-ops 100; }
unit_stress_pipe() { stress --pipe 1 --pipe-ops 20000; }
unit_stress_switch() { stress --switch 1 --switch-ops 1000; }
unit_fio_randread_4k_qd1() { fio_read psync 1; }
unit_fio_randread_4k_qd32() { fio_read libaio 32; }

prepare() { # linux/NAME seed=… cpus=…
  case $1 in linux/*) ;; *) say "error $1 is no workload of the Linux profile"; return ;; esac
  name=$(printf %s "${1#linux/}" | tr - _)
  type "unit_$name" >/dev/null 2>&1 || { say "error no workload $1"; return; }
  case $name in fio_*) [ -n "$DISK" ] || { say "skipped $1 a disk is needed"; return; } ;; esac
  type "setup_$name" >/dev/null 2>&1 && "setup_$name"
  ops=0 took=0
  FIO_SECONDS=1
  "unit_$name" >"$WORK/expected" 2>"$WORK/error" && { say "ready $1"; return; }
  say "error $1 fails: $(tail -n 1 "$WORK/error")"
  name=
}

sample() { # milliseconds
  units=0 errors=0 ops=0 took=0 latns=
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
  [ "$ops" -gt 0 ] && latns=$((took / ops)) || ops=$units
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
