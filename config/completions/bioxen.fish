# fish completion for bioxen.

function __bioxen_needs_verb
    test (count (commandline -opc)) -eq 1
end

function __bioxen_verb_is
    set --local words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

function __bioxen_vms
    bioxen ps 2>/dev/null | awk 'NR > 1 { print $1; print $2 "/" $1 }'
end

function __bioxen_topologies
    bioxen ps 2>/dev/null | awk 'NR > 1 { print $2 }' | sort -u
end

complete -c bioxen -f
complete -c bioxen -n __bioxen_needs_verb -a run -d 'Run one script in one fresh VM'
complete -c bioxen -n __bioxen_needs_verb -a up -d 'Bring a topology to what a file says'
complete -c bioxen -n __bioxen_needs_verb -a down -d 'Take a topology down'
complete -c bioxen -n __bioxen_needs_verb -a ps -d 'List the VMs of the topologies that are up'
complete -c bioxen -n __bioxen_needs_verb -a logs -d 'Show what VMs printed'
complete -c bioxen -n __bioxen_needs_verb -a events -d 'Show what happens, as it happens'
complete -c bioxen -n __bioxen_needs_verb -a exec -d 'Evaluate code in a running VM'
complete -c bioxen -n __bioxen_needs_verb -a attach -d 'Open a prompt inside a running VM'
complete -c bioxen -n __bioxen_needs_verb -a stop -d 'Stop VMs'
complete -c bioxen -n __bioxen_needs_verb -a start -d 'Start VMs that are down'
complete -c bioxen -n __bioxen_needs_verb -a restart -d 'Stop VMs and start them again'
complete -c bioxen -n __bioxen_needs_verb -a kill -d 'Kill VMs'
complete -c bioxen -n __bioxen_needs_verb -a stats -d 'Show what VMs use'
complete -c bioxen -n __bioxen_needs_verb -a inspect -d 'Tell all about one VM, as JSON'
complete -c bioxen -n __bioxen_needs_verb -a check -d 'Tell what is wrong with a topology file'
complete -c bioxen -n __bioxen_needs_verb -a graph -d 'Draw a topology file'
complete -c bioxen -n __bioxen_needs_verb -a test -d 'Run test files, each in one fresh VM'
complete -c bioxen -n __bioxen_needs_verb -a daemon -d 'Serve on a socket path'
complete -c bioxen -n __bioxen_needs_verb -a doctor -d 'Try what this host can enforce'
complete -c bioxen -n __bioxen_needs_verb -a help -d 'Tell what there is'
complete -c bioxen -n __bioxen_needs_verb -l version -d 'Show the version'
complete -c bioxen -s h -l help -d 'Show help'

complete -c bioxen -n '__bioxen_verb_is help' -a 'run up down ps logs events exec attach stop start restart kill stats inspect check graph test daemon doctor help'
complete -c bioxen -n '__bioxen_verb_is check' -k -xa '(__fish_complete_suffix .yaml .yml)'
complete -c bioxen -n '__bioxen_verb_is check' -l json -d 'One JSON object a line for each fault'
complete -c bioxen -n '__bioxen_verb_is graph' -k -xa '(__fish_complete_suffix .yaml .yml)'
complete -c bioxen -n '__bioxen_verb_is graph' -l format -x -a 'dot mermaid svg' -d 'What to write'
complete -c bioxen -n '__bioxen_verb_is daemon' -l socket -r -F -d 'Where it listens'
complete -c bioxen -n '__bioxen_verb_is doctor' -l json -d 'One JSON object instead of text'

complete -c bioxen -n '__bioxen_verb_is run' -F
complete -c bioxen -n '__bioxen_verb_is run' -s e -x -d 'Run CODE instead of a script'
complete -c bioxen -n '__bioxen_verb_is run test' -l profile -x -a 'restricted full' -d 'What the script may do'
complete -c bioxen -n '__bioxen_verb_is run test' -l memory -x -a '16MiB 32MiB 64MiB 128MiB 256MiB 1GiB' -d 'Memory limit'
complete -c bioxen -n '__bioxen_verb_is run test' -l cpus -x -a '0.5 1 2' -d 'Processor limit'
complete -c bioxen -n '__bioxen_verb_is run test' -l timeout -x -a '500ms 1s 5s 1m' -d 'Time limit, from start to end'
complete -c bioxen -n '__bioxen_verb_is run test' -l cpu-time -x -a '500ms 1s 5s 1m' -d 'CPU time limit'
complete -c bioxen -n '__bioxen_verb_is run test' -l pids -x -a '1 16' -d 'Limit of processes and threads'
complete -c bioxen -n '__bioxen_verb_is run test' -l output-limit -x -a '1MiB 10MiB 100MiB' -d 'Limit of stdout and stderr together'
complete -c bioxen -n '__bioxen_verb_is run test' -l env -x -a '(set -xn)' -d 'Set a variable for os.getenv'
complete -c bioxen -n '__bioxen_verb_is run test' -l mount -r -F -d 'Show a directory or file'
complete -c bioxen -n '__bioxen_verb_is run test' -l network -x -a 'none fabric' -d 'The network that it has'
complete -c bioxen -n '__bioxen_verb_is run' -l report -r -F -d 'Write how it ended, as JSON'
complete -c bioxen -n '__bioxen_verb_is run' -l name -x -d "The VM's name"
complete -c bioxen -n '__bioxen_verb_is run' -l restart -x -a 'no on-failure always' -d 'Run it again when it has ended'

complete -c bioxen -n '__bioxen_verb_is test' -F
complete -c bioxen -n '__bioxen_verb_is test' -s j -l jobs -x -a '1 2 4 8' -d 'How many run at a time'
complete -c bioxen -n '__bioxen_verb_is test' -l junit -r -F -d "Write the results as JUnit's XML too"

complete -c bioxen -n '__bioxen_verb_is up down ps logs events exec attach stop start restart kill stats inspect' -l socket -r -F -d 'Of the daemon'
complete -c bioxen -n '__bioxen_verb_is up down ps logs events stop start restart kill stats inspect' -l json -d 'As JSON'
complete -c bioxen -n '__bioxen_verb_is up' -k -xa '(__fish_complete_suffix .yaml .yml)'
complete -c bioxen -n '__bioxen_verb_is up' -s d -l detach -d 'Let a daemon run it'
complete -c bioxen -n '__bioxen_verb_is up' -l wait -d 'Until all are ready'
complete -c bioxen -n '__bioxen_verb_is up' -l dry-run -d 'Only tell what would be done'
complete -c bioxen -n '__bioxen_verb_is logs' -s f -l follow -d 'Go on with what comes'
complete -c bioxen -n '__bioxen_verb_is logs' -l since -x -a '1m 10m 1h' -d 'Only what is not older'
complete -c bioxen -n '__bioxen_verb_is exec' -l timeout -x -a '1s 10s 1m' -d 'How long it may take'
complete -c bioxen -n '__bioxen_verb_is stop restart' -l grace -x -a '1s 10s 1m' -d 'How long it may take to end'
complete -c bioxen -n '__bioxen_verb_is stats' -s l -l live -d 'Again every second'
complete -c bioxen -n '__bioxen_verb_is logs exec attach stop start restart kill inspect' -xa '(__bioxen_vms)'
complete -c bioxen -n '__bioxen_verb_is down ps events stats' -xa '(__bioxen_topologies)'
