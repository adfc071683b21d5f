#!/usr/bin/env bash
# Measures all that docs/benchmarks.md shows, on this machine: docs/measure.sh PEOPLE.mp4 ROOM.mp4 YOLO.pt [DEVICE]
# PEOPLE: people before a camera; ROOM: a camera that stands still, with some movement; DEVICE: cpu, cuda, cuda:N.
# On a GPU the figures get names of their own, and up to 32 cameras share it. Give it a machine that does nothing else.
set -euo pipefail
people=$1 room=$2 yolo=$3 device=${4:-cpu}
page=$(cd "$(dirname "$0")" && pwd)/benchmarks.md
folder=${page%.md} suffix="" frames=${FRAMES:-150} repeat=${REPEAT:-5}
cameras=(--cameras 1 --cameras 2 --cameras 4 --cameras 8 --cameras 16)
if [[ $device != cpu ]]; then
    suffix="-gpu" frames=${FRAMES:-600}
    cameras+=(--cameras 32)
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python -c "from vidclf.models import create, save; save('$scratch/simple-cnn.safetensors', create('simple-cnn'))"

bench() { # NAME, then what `vidclf bench` takes
    echo "== $1" >&2
    vidclf bench "${@:2}" --json "$folder/$1$suffix.json"
}
person=(-p person --detector-weights "$yolo" --device "$device")
rounds=(--repeat "$repeat" --max-frames "$frames")
bench person "$people" "${person[@]}" "${rounds[@]}"
bench simple-cnn "$people" "${person[@]}" "${rounds[@]}" --no-others --backend torch \
    --weights "$scratch/simple-cnn.safetensors"
bench detect-every "$people" "${person[@]}" --repeat "$repeat" --max-frames $((frames * 4)) --no-others \
    --detect-every auto # a stretch long enough to have calm and busy parts
bench motion "$room" --device "$device" --repeat "$repeat" --max-frames "${ROOM_FRAMES:-300}"  # until something moves
bench classifier classifier --device "$device" --repeat "$repeat"
bench engine engine
bench start-motion start "$room" --device "$device"
bench start-person start "$people" "${person[@]}"
bench scaling scaling "$people" "${person[@]}" --repeat 2 --max-frames $((frames / 2)) "${cameras[@]}"
