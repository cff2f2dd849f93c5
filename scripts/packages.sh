# Sourced by demo.sh and test.sh: installs those of the named Debian packages that are missing.
install_packages() {
    missing=
    for package in "$@"; do
        if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed'; then
            missing="$missing $package"
        fi
    done
    if [ -z "$missing" ]; then
        return 0
    fi
    if [ "$(id -u)" -eq 0 ]; then
        root=
    else
        root=sudo
    fi
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # The lists may be old or absent: refresh them only where that is what fails.
    # shellcheck disable=SC2086 # a list of words
    $root apt-get install -y -q --no-install-recommends $missing ||
        { $root apt-get update -q && $root apt-get install -y -q --no-install-recommends $missing; }
}

BUILD_PACKAGES="build-essential cmake ninja-build pkg-config protobuf-c-compiler
    libprotobuf-c-dev libonnx-dev zlib1g-dev libjansson-dev libpng-dev libjpeg-dev"
