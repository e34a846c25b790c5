# Runs one PostgreSQL server for as long as somebody uses it. Called by cluster.rs with
#   $1 the cluster's folder   $2 pg_ctl   $3 the port   $4 the server's options   $5 `keep` or `remove` its data
# and with the named pipe `users` as standard input.
#
# Each process that uses the server holds the pipe open for writing. It says `hello TOKEN` when it comes (the answer
# is a file ack/TOKEN) and `bye TOKEN` when it leaves in good order. A process that is killed says nothing, but its
# end of the pipe closes all the same: end of file means that nobody is left.
set -u
cd "$1" || exit 1
pg_ctl=$2 port=$3 options=$4 afterwards=$5
echo $$ >supervisor.pid

stop() {
    # Without the pipe nobody can come any more while the server goes down.
    rm -f users ready
    "$pg_ctl" stop -D "$1/data" -m fast -w -t 20 || "$pg_ctl" stop -D "$1/data" -m immediate -w -t 10
    if [ "$afterwards" = remove ]; then rm -rf "$1/data"; fi
    exit
}

# An interrupt at the terminal is meant for the user of the server, not for the server.
trap '' HUP INT QUIT
trap 'stop "$1"' TERM

"$pg_ctl" start -D "$1/data" -l server.log -w -t 60 -o "-p $port $options" || exit 1
echo "$port" >ready.part && mv ready.part ready

users=0 idle=0
while [ "$idle" -lt 10 ]; do
    if read -r word token; then
        case $word in
        hello)
            idle=0 users=$((users + 1))
            : >"ack/$token"
            ;;
        bye)
            users=$((users - 1))
            if [ "$users" -le 0 ]; then idle=10; else : >"ack/$token.bye"; fi
            ;;
        esac
    else
        # Two seconds of grace: the next test process may be about to come.
        idle=$((idle + 1))
        sleep 0.2
    fi
done
stop "$1"
