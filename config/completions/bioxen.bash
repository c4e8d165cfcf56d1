# bash completion for bioxen. Needs nothing but bash 4.

# Prints the first word that is neither an option nor an option's value, from $1 on.
_bioxen_find_script() {
    local i
    for ((i = $1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -e | --profile | --memory | --cpus | --timeout | --cpu-time | --pids | --output-limit | --env | --mount | \
            --network | --report | --name | --restart)
            [[ ${COMP_WORDS[i + 1]-} == "=" ]] && ((i++)) # bash splits --option=value into three words
            ((i++)) ;;
        --) ((i + 1 < COMP_CWORD)) && printf '%s' "${COMP_WORDS[i + 1]}" && return ;;
        -?*) ;;
        *) printf '%s' "${COMP_WORDS[i]}" && return ;;
        esac
    done
}

_bioxen_run() {
    local current=$1 previous=$2
    case $previous in
    --profile) COMPREPLY=($(compgen -W 'restricted full' -- "$current")) ; return ;;
    --network) COMPREPLY=($(compgen -W 'none fabric' -- "$current")) ; return ;;
    --restart) COMPREPLY=($(compgen -W 'no on-failure always' -- "$current")) ; return ;;
    --memory) COMPREPLY=($(compgen -W '16MiB 32MiB 64MiB 128MiB 256MiB 1GiB' -- "$current")) ; return ;;
    --cpus) COMPREPLY=($(compgen -W '0.5 1 2' -- "$current")) ; return ;;
    --timeout | --cpu-time) COMPREPLY=($(compgen -W '500ms 1s 5s 1m' -- "$current")) ; return ;;
    --pids) COMPREPLY=($(compgen -W '1 16' -- "$current")) ; return ;;
    --output-limit) COMPREPLY=($(compgen -W '1MiB 10MiB 100MiB' -- "$current")) ; return ;;
    --env) COMPREPLY=($(compgen -A export -- "$current")) ; return ;;
    --name | -e) return ;;
    --mount | --report)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return ;;
    esac
    if [[ -z $(_bioxen_find_script 2) && $current == -* ]]; then
        COMPREPLY=($(compgen -W '-e --profile --memory --cpus --timeout --cpu-time --pids --output-limit --env --mount
            --network --report --name --restart --help' -- "$current"))
        return
    fi
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
}

# A verb of one topology file: its options are $2.
_bioxen_file() {
    local current=$1
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$2" -- "$current"))
        return
    fi
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -X '!*.y?(a)ml' -- "$current" && compgen -d -- "$current")
}

_bioxen_graph() {
    if [[ $2 == --format ]]; then
        COMPREPLY=($(compgen -W 'dot mermaid svg' -- "$1"))
    else
        _bioxen_file "$1" '--format --help'
    fi
}

_bioxen_test() {
    case $2 in
    -j | --jobs) COMPREPLY=($(compgen -W '1 2 4 8' -- "$1")) ;;
    --profile | --network | --memory | --cpus | --timeout | --cpu-time | --pids | --output-limit | --env) _bioxen_run "$1" "$2" ;;
    *)
        if [[ $1 == -* ]]; then
            COMPREPLY=($(compgen -W '-j --jobs --junit --profile --memory --cpus --timeout --cpu-time --pids --output-limit
                --env --mount --network --help' -- "$1"))
            return
        fi
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$1") ;;
    esac
}

# VMs of the daemon that is found without --socket. Nothing is said when there is none.
_bioxen_vms() {
    bioxen ps 2>/dev/null | while read -r name topology _; do
        [[ $name == NAME ]] || printf '%s\n%s/%s\n' "$name" "$topology" "$name"
    done
}

_bioxen_topologies() {
    bioxen ps 2>/dev/null | while read -r name topology _; do
        [[ $name == NAME ]] || printf '%s\n' "$topology"
    done | sort -u
}

# A verb that asks a daemon: its options are $3, its arguments vms, topologies or none ($4).
_bioxen_remote() {
    case $2 in
    --socket)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$1") ; return ;;
    --since | --grace | --timeout) COMPREPLY=($(compgen -W '1s 10s 1m 10m' -- "$1")) ; return ;;
    esac
    if [[ $1 == -* ]]; then
        COMPREPLY=($(compgen -W "$3 --help" -- "$1"))
    elif [[ $4 == vms ]]; then
        COMPREPLY=($(compgen -W "$(_bioxen_vms)" -- "$1"))
    elif [[ $4 == topologies ]]; then
        COMPREPLY=($(compgen -W "$(_bioxen_topologies)" -- "$1"))
    fi
}

_bioxen_up() {
    if [[ $2 == --socket ]]; then
        _bioxen_remote "$1" "$2" '' none
    else
        _bioxen_file "$1" '-d --detach --wait --dry-run --socket --json --help'
    fi
}

_bioxen_daemon() {
    if [[ $2 == --socket ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$1")
    else
        COMPREPLY=($(compgen -W '--socket --help' -- "$1"))
    fi
}

_bioxen() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [[ $current == "=" ]]; then
        current=""
    elif [[ $previous == "=" ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W 'run up down ps logs events exec attach stop start restart kill stats inspect check graph test daemon doctor help --help --version' -- "$current"))
        return
    fi
    case ${COMP_WORDS[1]} in
    run) _bioxen_run "$current" "$previous" ;;
    up) _bioxen_up "$current" "$previous" ;;
    down) _bioxen_remote "$current" "$previous" '--socket --json' topologies ;;
    ps) _bioxen_remote "$current" "$previous" '--socket --json' topologies ;;
    logs) _bioxen_remote "$current" "$previous" '-f --follow --since --socket --json' vms ;;
    events) _bioxen_remote "$current" "$previous" '--socket --json' topologies ;;
    exec) _bioxen_remote "$current" "$previous" '--timeout --socket' vms ;;
    attach) _bioxen_remote "$current" "$previous" '--socket' vms ;;
    stop) _bioxen_remote "$current" "$previous" '--grace --socket --json' vms ;;
    start) _bioxen_remote "$current" "$previous" '--socket --json' vms ;;
    restart) _bioxen_remote "$current" "$previous" '--grace --socket --json' vms ;;
    kill) _bioxen_remote "$current" "$previous" '--socket --json' vms ;;
    stats) _bioxen_remote "$current" "$previous" '-l --live --socket --json' topologies ;;
    inspect) _bioxen_remote "$current" "$previous" '--socket --json' vms ;;
    check) _bioxen_file "$current" '--json --help' ;;
    graph) _bioxen_graph "$current" "$previous" ;;
    test) _bioxen_test "$current" "$previous" ;;
    daemon) _bioxen_daemon "$current" "$previous" ;;
    doctor) COMPREPLY=($(compgen -W '--json --help' -- "$current")) ;;
    help) COMPREPLY=($(compgen -W 'run up down ps logs events exec attach stop start restart kill stats inspect check graph test daemon doctor help' -- "$current")) ;;
    esac
}

complete -F _bioxen bioxen
