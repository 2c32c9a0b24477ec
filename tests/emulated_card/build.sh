#!/usr/bin/env bash
# Builds the emulated card into a folder: `build.sh FOLDER [CANDLE_KERNELS]`, where CANDLE_KERNELS is that crate's folder, by default
# the one in cargo's registry. Then `LD_LIBRARY_PATH=FOLDER` gives a build with the feature `cuda` (or `nccl`) a card.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "$1")
candle=${2:-$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/candle-kernels-0.11.* | tail -n 1)}
mkdir -p "$out/objects"
flags=(-std=c++17 -O2 -march=native -ffp-contract=off -fno-strict-aliasing -fPIC -w -include "$here/card.hpp" -I "$here/include" -I "$here")

kernels() { # a file of kernels: compiled once for its names, and again with a table of them
    local source=$1 name=$2
    g++ "${flags[@]}" -O0 -x c++ -c "$source" -o "$out/objects/$name.names"
    {
        echo "#include \"$source\""
        nm --defined-only "$out/objects/$name.names" | awk '$2 == "T" && $3 !~ /^_Z/ { print $3 }' |
            while read -r kernel; do echo "static card::Registered<$kernel> of_$kernel(\"$kernel\");"; done
    } > "$out/objects/$name.cpp"
    g++ "${flags[@]}" -c "$out/objects/$name.cpp" -o "$out/objects/$name.o"
}

objects=()
for name in affine binary cast conv fill indexing reduce ternary unary; do
    kernels "$candle/src/$name.cu" "$name"
    objects+=("$out/objects/$name.o")
done
for source in "$here"/../../kernels/*.cu; do
    name=own_$(basename "$source" .cu)
    kernels "$(realpath "$source")" "$name"
    objects+=("$out/objects/$name.o")
done
for name in blocks driver streams cublas cudnn curand nccl; do
    g++ "${flags[@]}" -O3 -c "$here/$name.cpp" -o "$out/objects/$name.o"
    objects+=("$out/objects/$name.o")
done
# Helpers of candle are in each of its files, without "static".
g++ -shared -Wl,--allow-multiple-definition -o "$out/libcuda.so.1" -Wl,--version-script="$here/versions.map" "${objects[@]}" -lpthread -lrt
for library in libcublas.so.13 libcublasLt.so.13 libcudnn.so.9 libcurand.so.10 libnccl.so.2; do
    ln -sf libcuda.so.1 "$out/$library"
done
