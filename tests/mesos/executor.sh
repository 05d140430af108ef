# A custom executor for the v1 HTTP API, in a busybox: it says that its one task runs, and two seconds later that it is done.
id=${MESOS_SLAVE_PID%%@*} address=${MESOS_SLAVE_PID#*@}
host=${address%:*} port=${address#*:}
own="\"framework_id\":{\"value\":\"$MESOS_FRAMEWORK_ID\"},\"executor_id\":{\"value\":\"$MESOS_EXECUTOR_ID\"}"

request() {
  printf 'POST /%s/api/v1/executor HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n' "$id" "$address"
  printf 'Accept: application/json\r\nContent-Length: %d\r\n\r\n%s' "${#1}" "$1"
}

# nc ends with its input, and with it the connection, whether the agent has read what was sent or not: so that is kept open.
send() {
  (request "$1"; exec sleep 1000) | nc "$host" "$port"
}

update() {
  bytes=$(tr -d '\n-' </proc/sys/kernel/random/uuid | sed 's/../\\x&/g')
  status="\"task_id\":{\"value\":\"$1\"},\"executor_id\":{\"value\":\"$MESOS_EXECUTOR_ID\"},\"state\":\"$2\""
  status="$status,\"source\":\"SOURCE_EXECUTOR\",\"uuid\":\"$(printf "$bytes" | base64)\""
  send "{\"type\":\"UPDATE\",$own,\"update\":{\"status\":{$status}}}" >/dev/null &
}

subscribe="{\"type\":\"SUBSCRIBE\",$own,\"subscribe\":{\"unacknowledged_tasks\":[],\"unacknowledged_updates\":[]}}"
# Each event of the answer is in a chunk, and so ends with a line's end.
send "$subscribe" | while read -r line; do
  case $line in
  *'"type":"LAUNCH"'*)
    task=${line#*'"task_id":{"value":"'} task=${task%%'"'*}
    echo "custom executor runs $task"
    update "$task" TASK_RUNNING
    (sleep 2; update "$task" TASK_FINISHED) &
    ;;
  *'"type":"SHUTDOWN"'* | *'"type":"KILL"'*) kill $$ ;;
  esac
done
