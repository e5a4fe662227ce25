#!/bin/sh
# Index the sample documents and ask three questions: by text, by a picture, by both. Run it from the repository's root:
#     sh samples/demo.sh                      uses .venv/bin/visir, or the command that VISIR names
set -eu

visir=${VISIR:-.venv/bin/visir}
export VISIR_INDEX=.visir/demo

# Print a command as a user would type it, then run it.
show() {
    printf '\n$ visir'
    for word in "$@"; do
        case $word in
            *[!A-Za-z0-9_./=-]*) printf ' "%s"' "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    $visir "$@" 2>&1
}

# An index of an earlier demo may hold vectors of an earlier model.
rm -rf "$VISIR_INDEX"

echo '$ export VISIR_INDEX=.visir/demo'
code=0
show index samples/documents || code=$?
case $code in
    0) ;;
    1) echo "Some documents wait for a tool: LibreOffice draws Office files, Chromium web pages; the status below says which." ;;
    *) exit "$code" ;;
esac

show search "how much water is lost through leaks" -k 3
show search --image samples/queries/rainfall-chart.png -k 3
show search --image samples/queries/rainfall-chart.png "the same for 2023" -k 3
show status

# The same as a page to look at. Without a terminal nobody would end it.
if [ -t 1 ]; then
    printf '\n$ visir serve\n'
    exec $visir serve
fi
printf '\nvisir serve shows the same as a web page.\n'
