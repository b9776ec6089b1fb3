#!/bin/sh
# Installs the Tillbind agent on a terminal, or a newer version over an older one. Settings and data
# that are there stay as they are; running it twice changes nothing. `install.sh --help` says more.
set -eu

NAME=tillbind
HELPERS="tillbind-pcsc tillbind-devsim"
USER_NAME=tillbind
GROUPS_WANTED='dialout lp'

HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
ROOT=
BINARY=
DRY_RUN=no
UNINSTALL=no
PURGE=no
START=yes

usage() {
    cat <<'USAGE'
install.sh [BINARY]            installs BINARY, or the `tillbind` beside this script
install.sh --uninstall         removes the program; settings and data stay
install.sh --uninstall --purge removes settings and data too, with events not yet sent

  --root DIR   installs into the system below DIR, as for an image; nothing is started
  --no-start   does not start the service
  --dry-run    says what would be done
  --help       says this
USAGE
}

say() { printf '%s\n' "$*"; }
# did says what was done; a dry run has said what it would do.
did() { [ "$DRY_RUN" = yes ] || say "$*"; }
note() { printf 'note: %s\n' "$*" >&2; }
die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}
# wrong says what is wrong with the call; 2 is wrong use.
wrong() {
    printf 'install.sh: %s\n' "$*" >&2
    usage >&2
    exit 2
}

# run COMMAND... does it, or says that it would.
run() {
    if [ "$DRY_RUN" = yes ]; then
        say "would: $*"
    else
        "$@"
    fi
}

while [ $# -gt 0 ]; do
    case $1 in
        --root)
            [ $# -ge 2 ] || wrong "--root needs a folder"
            ROOT=${2%/}
            # An empty rest is the root folder itself.
            if [ -n "$ROOT" ]; then
                [ -d "$ROOT" ] || die "the folder $ROOT does not exist: make it first"
                ROOT=$(CDPATH='' cd -- "$ROOT" && pwd)
            fi
            shift
            ;;
        --no-start) START=no ;;
        --dry-run) DRY_RUN=yes ;;
        --uninstall) UNINSTALL=yes ;;
        --purge) PURGE=yes ;;
        --help | -h)
            usage
            exit 0
            ;;
        -*) wrong "$1 is no option" ;;
        *)
            [ -z "$BINARY" ] || wrong "one program is enough: $BINARY or $1"
            BINARY=$1
            ;;
    esac
    shift
done
[ "$PURGE" = no ] || [ "$UNINSTALL" = yes ] || wrong "--purge goes with --uninstall"

PROGRAM=$ROOT/usr/local/bin/$NAME
SETTINGS_DIR=$ROOT/etc/tillbind
SETTINGS=$SETTINGS_DIR/agent.toml
DATA_DIR=$ROOT/var/lib/tillbind
UNIT=$ROOT/etc/systemd/system/$NAME.service
SYSUSERS=$ROOT/etc/sysusers.d/$NAME.conf
RULES=$ROOT/etc/udev/rules.d/70-$NAME.rules
POLKIT_RULES=$ROOT/etc/polkit-1/rules.d/70-$NAME.rules
POLKIT_PKLA=$ROOT/etc/polkit-1/localauthority/50-local.d/70-$NAME.pkla

[ -n "$ROOT" ] || [ "$DRY_RUN" = yes ] || [ "$(id -u)" = 0 ] ||
    die "this needs root: run it by sudo, or with --dry-run to see what it does"

# What the system has, running or, below --root, to run later.
has_systemd() {
    [ -d "$ROOT/run/systemd/system" ] || [ -x "$ROOT/usr/lib/systemd/systemd" ] ||
        [ -x "$ROOT/lib/systemd/systemd" ]
}
systemd_runs() { [ -z "$ROOT" ] && [ -d /run/systemd/system ]; }
has_udev() { [ -d "$ROOT/etc/udev" ] || [ -d "$ROOT/lib/udev" ] || [ -d "$ROOT/usr/lib/udev" ]; }
has_polkit_rules() {
    [ -d "$ROOT/etc/polkit-1/rules.d" ] || [ -d "$ROOT/usr/share/polkit-1/rules.d" ]
}
# As polkit before 0.106 has it.
has_polkit_pkla() {
    [ -d "$ROOT/etc/polkit-1/localauthority" ] || [ -d "$ROOT/var/lib/polkit-1/localauthority" ]
}
has_user() { id "$USER_NAME" >/dev/null 2>&1; }

# put FILE TARGET MODE — replaces TARGET in one step, so that a kill leaves the old or the new one,
# and a program that runs is not written to.
put() {
    if [ -f "$2" ] && cmp -s "$1" "$2"; then
        run chmod "$3" "$2"
        return 0
    fi
    run mkdir -p "$(dirname "$2")"
    run cp "$1" "$2.new"
    run chmod "$3" "$2.new"
    run mv -f "$2.new" "$2"
    did "installed $2"
}

# drop FILE — removes it if it is there.
drop() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        run rm -f "$1"
        did "removed $1"
    fi
}

make_user() {
    if [ -n "$ROOT" ]; then
        has_systemd || note "the user $USER_NAME was not made: below --root that is the image's part"
        return 0
    fi
    if ! has_user; then
        if command -v useradd >/dev/null 2>&1; then
            run useradd --system --user-group --home-dir /var/lib/tillbind --no-create-home \
                --shell /usr/sbin/nologin "$USER_NAME"
        elif command -v adduser >/dev/null 2>&1; then
            # As busybox has it.
            run addgroup -S "$USER_NAME"
            run adduser -S -D -H -h /var/lib/tillbind -s /sbin/nologin -G "$USER_NAME" "$USER_NAME"
        else
            die "the user $USER_NAME cannot be made: neither useradd nor adduser is here"
        fi
        did "made the user $USER_NAME"
    fi
    for group in $GROUPS_WANTED; do
        if ! grep -q "^$group:" /etc/group; then
            note "there is no group $group: see that $USER_NAME may open scanners and printers"
        elif command -v usermod >/dev/null 2>&1; then
            run usermod -a -G "$group" "$USER_NAME"
        else
            run addgroup "$USER_NAME" "$group"
        fi
    done
}

make_data_dir() {
    run mkdir -p "$DATA_DIR"
    run chmod 0700 "$DATA_DIR"
    # Below --root the service makes it its own when it first starts.
    if [ -z "$ROOT" ]; then
        run chown "$USER_NAME:" "$DATA_DIR"
    fi
}

install_settings() {
    run mkdir -p "$SETTINGS_DIR/profiles"
    run chmod 0755 "$SETTINGS_DIR" "$SETTINGS_DIR/profiles"
    if [ -e "$SETTINGS" ]; then
        say "kept $SETTINGS"
    else
        put "$HERE/agent.toml" "$SETTINGS" 0644
    fi
}

install_service() {
    if ! has_systemd; then
        note "there is no systemd here, so no service was made: let your init start" \
            "'/usr/local/bin/$NAME run' as the user $USER_NAME, and again whenever it ends"
        return 0
    fi
    put "$HERE/$NAME.sysusers" "$SYSUSERS" 0644
    put "$HERE/$NAME.service" "$UNIT" 0644
    if systemd_runs; then
        run systemctl daemon-reload
        run systemctl --quiet enable "$NAME.service"
        if [ "$START" = yes ]; then
            run systemctl restart "$NAME.service"
            did "started $NAME.service"
        fi
    else
        # What `systemctl enable` would do.
        run mkdir -p "$ROOT/etc/systemd/system/multi-user.target.wants"
        run ln -sf "/etc/systemd/system/$NAME.service" \
            "$ROOT/etc/systemd/system/multi-user.target.wants/$NAME.service"
        note "systemd does not run here, so the service starts with the next boot"
    fi
}

install_rules() {
    if ! has_udev; then
        note "there is no udev here: see that $USER_NAME may open the scanners' ports"
        return 0
    fi
    put "$HERE/70-$NAME.rules" "$RULES" 0644
    if [ -z "$ROOT" ] && command -v udevadm >/dev/null 2>&1; then
        run udevadm control --reload-rules ||
            note "udev did not take the rules: they count from the next boot"
        run udevadm trigger --action=change --subsystem-match=tty --subsystem-match=usbmisc \
            --subsystem-match=hidraw --subsystem-match=input ||
            note "plug scanners and printers out and in once"
    fi
}

# polkit sees new rules by itself.
install_polkit() {
    if has_polkit_rules; then put "$HERE/$NAME.polkit.rules" "$POLKIT_RULES" 0644; fi
    if has_polkit_pkla; then put "$HERE/$NAME.polkit.pkla" "$POLKIT_PKLA" 0644; fi
    if ! has_polkit_rules && ! has_polkit_pkla && [ -x "$ROOT/usr/sbin/pcscd" ]; then
        note "pcscd is here and polkit is not: if it refuses $USER_NAME, install polkitd and run this" \
            "again"
    fi
}

install_all() {
    [ -n "$BINARY" ] || BINARY=$HERE/$NAME
    [ -f "$BINARY" ] || die "there is no program at $BINARY: name it, as in: install.sh ./tillbind"
    for part in agent.toml "$NAME.service" "$NAME.sysusers" "70-$NAME.rules" \
        "$NAME.polkit.rules" "$NAME.polkit.pkla"; do
        [ -f "$HERE/$part" ] || die "$HERE/$part is missing: unpack the whole archive again"
    done
    make_user
    make_data_dir
    put "$BINARY" "$PROGRAM" 0755
    # What may lie beside it: the reader of PC/SC cards, and the player of devices that are not there.
    for helper in $HELPERS; do
        [ ! -f "$(dirname "$BINARY")/$helper" ] ||
            put "$(dirname "$BINARY")/$helper" "$ROOT/usr/local/bin/$helper" 0755
    done
    install_settings
    install_rules
    install_polkit
    install_service
    say
    say "Next: name the devices in /etc/tillbind/agent.toml, then enrol this terminal with a token"
    say "from headquarters:"
    say "  sudo -u $USER_NAME $NAME enrol TOKEN"
}

uninstall_all() {
    if systemd_runs && [ -e "$UNIT" ]; then
        run systemctl --quiet disable --now "$NAME.service"
    fi
    drop "$ROOT/etc/systemd/system/multi-user.target.wants/$NAME.service"
    drop "$UNIT"
    drop "$SYSUSERS"
    drop "$RULES"
    drop "$POLKIT_RULES"
    drop "$POLKIT_PKLA"
    drop "$PROGRAM"
    for helper in $HELPERS; do drop "$ROOT/usr/local/bin/$helper"; done
    if systemd_runs; then
        run systemctl daemon-reload
    fi
    if [ "$PURGE" = yes ]; then
        run rm -rf "$DATA_DIR" "$SETTINGS_DIR"
        did "removed $SETTINGS_DIR and $DATA_DIR"
        if [ -z "$ROOT" ] && has_user; then
            if command -v userdel >/dev/null 2>&1; then
                run userdel "$USER_NAME"
            else
                run deluser "$USER_NAME"
            fi
        fi
    else
        say "kept $SETTINGS_DIR and $DATA_DIR: events that are not sent yet are there"
    fi
}

if [ "$UNINSTALL" = yes ]; then
    uninstall_all
else
    install_all
fi
