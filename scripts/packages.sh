# Sourced by the other scripts: need PACKAGE... installs what is missing, where apt-get is at hand.
need() {
    command -v dpkg-query >/dev/null 2>&1 || {
        echo "This is no Debian; what is needed: $*" >&2
        return 0
    }
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    echo "installing:$missing"
    # shellcheck disable=SC2086
    $sudo apt-get -qq install -y --no-install-recommends $missing >/dev/null 2>&1 || {
        $sudo apt-get -qq update
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive $sudo apt-get -qq install -y --no-install-recommends $missing
    }
}

BUILD_PACKAGES="build-essential cmake ninja-build pkg-config libonnx-dev libprotobuf-c-dev
    protobuf-c-compiler libjansson-dev libpng-dev libjpeg62-turbo-dev zlib1g-dev"
TEST_PACKAGES="clang libcmocka-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    gcc-s390x-linux-gnu libc6-dev-s390x-cross gcc-arm-none-eabi qemu-user libonnx-testdata"
