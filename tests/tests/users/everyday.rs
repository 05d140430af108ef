//! What people do with an engine all day: images built, committed, saved and loaded; volumes of other users, terminals, health checks,
//! networks with names. One node for many things, so that it is cheap where processors are emulated, too.

use dind_tests::outer::{Node, SLEEP, inner_image};

/// Runs a script in a node, with the inner image in `$image`, and compares what it prints with the lines of a table.
fn prints(node: &Node, script: &str, expected: &[(&str, &str)]) {
    let ended = node.exec(&["env", &format!("image={}", inner_image()), "sh", "-euc", script]);
    let seen: Vec<_> = ended.stdout.lines().map(str::trim_end).collect();
    let expected: Vec<_> = expected.iter().map(|(what, value)| format!("{what}: {value}")).collect();
    assert_eq!(seen, expected, "{}", ended.stderr);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
}

/// Both builders, with what differs where root is not the machine's: owners, caches, the network of the node.
#[test]
fn images_are_built_by_both_builders_committed_saved_and_loaded() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    let version = node.inner(&["version", "--format", "{{.Server.Version}}"]);
    // The built-in frontend of BuildKit knows them from then on (Dockerfile 1.4).
    let heredocs = version.split('.').next().unwrap().parse::<u32>().unwrap() >= 23;
    let script = "
        mkdir -p /srv/build; cd /srv/build; echo data >file; chmod 600 file
        cat >classic <<EOF
FROM $image
COPY --chown=1234:5678 file /file
RUN mkdir -m 777 /open && mkdir /own && chown 4321:8765 /own && chmod 4755 /own
USER 1234
RUN cat /file >/open/read
EOF
        cat >kit <<EOF
FROM $image AS first
ARG round
RUN --mount=type=cache,target=/cache echo run \\$round >>/cache/runs; cat /cache/runs | wc -l >/runs
RUN --mount=type=secret,id=word cat /run/secrets/word >/word
RUN ls /sys/class/net >/links
FROM $image
COPY --from=first --chown=1234 /runs /word /links /
EOF
        export DOCKER_BUILDKIT=0
        docker build --quiet --tag classic --file classic . >/dev/null
        echo classic: $(docker run --rm classic sh -c 'id -u; cat /open/read; stat -c %u:%g /file /own; stat -c %a /own')
        export DOCKER_BUILDKIT=1
        echo word >secret
        for round in 1 2; do
            docker build --quiet --build-arg round=$round --network host --secret id=word,src=secret --tag kit --file kit . >/dev/null
        done
        echo kit: $(docker run --rm kit sh -c 'cat /runs /word; grep docker0 /links; stat -c %u /word')
        docker run --name made $image sh -c 'echo made >/made; chown 77:88 /made' >/dev/null
        docker commit made committed >/dev/null
        docker save --output images.tar committed classic
        docker rm made >/dev/null
        docker rmi --force committed classic >/dev/null
        docker load --quiet --input images.tar >/dev/null
        echo loaded: $(docker run --rm committed stat -c %u:%g /made) $(docker run --rm classic stat -c %u:%g /file)
        docker export --output flat.tar $(docker create committed)
        docker import flat.tar flat >/dev/null
        echo imported: $(docker run --rm flat stat -c %u:%g /made)";
    prints(
        &node,
        script,
        &[
            ("classic", "1234 data 1234:5678 4321:8765 4755"),
            ("kit", "2 word docker0 1234"),
            ("loaded", "77:88 1234:5678"),
            ("imported", "77:88"),
        ],
    );
    if heredocs {
        let script = "cd /srv/build
            printf 'FROM %s\\nRUN <<EOF\\necho from a heredoc >/file\\nEOF\\n' $image >heredoc
            docker build --quiet --tag heredoc --file heredoc . >/dev/null
            echo heredoc: $(docker run --rm heredoc cat /file)";
        prints(&node, script, &[("heredoc", "from a heredoc")]);
    }
}

/// Containers of other users than root, and what is looked at while they run.
#[test]
fn containers_have_volumes_of_other_users_terminals_health_and_names() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    let script = "
        docker volume create data >/dev/null
        docker run --rm --volume data:/data $image sh -c 'mkdir /data/own; chown 1000:1000 /data/own'
        docker run --rm --user 1000:1000 --volume data:/data $image sh -c 'echo mine >/data/own/file'
        echo volume: $(docker run --rm --user 1000 --volume data:/data:ro $image sh -c 'cat /data/own/file; stat -c %u:%g /data/own/file')
        mkdir -p /srv/bound; chown 2000 /srv/bound
        docker run --rm --user 2000 --volume /srv/bound:/bound $image touch /bound/file
        echo bound: $(stat -c %u /srv/bound/file)
        docker run --rm --tmpfs /scratch:uid=3000,mode=700,size=1m --user 3000 $image touch /scratch/file
        docker network create own >/dev/null
        docker run --detach --name web --network own --publish 8081:80 --init --memory 64m --pids-limit 20 \
            --health-cmd 'wget -q -O - http://localhost/' --health-interval 1s \
            $image sh -c 'mkdir /w; echo page >/w/index.html; echo begun; exec httpd -f -p 80 -h /w' >/dev/null
        echo name: $(docker run --rm --network own $image sh -c 'until wget -q -O - http://web/; do sleep 0.2; done')
        echo port: $(docker run --rm --network host $image wget -q -O - http://127.0.0.1:8081/)
        until [ $(docker inspect --format '{{.State.Health.Status}}' web) = healthy ]; do sleep 0.2; done
        echo healthy: $(docker logs web)
        echo terminal: $(docker exec --tty --user 5000 web sh -c 'test -t 1 && id -u' | tr -d '\\r')
        echo processes: $(docker top web -o pid,args | grep -c 'httpd -f')
        echo to >/srv/to; chown 6000 /srv/to; docker cp --archive /srv/to web:/to; docker cp web:/to /srv/from
        echo copied: $(docker exec web stat -c %u /to; cat /srv/from)
        echo limits: $(docker stats --no-stream --format '{{.MemUsage}}' web | sed 's,.*/ ,,')
        docker pause web >/dev/null; docker unpause web >/dev/null
        docker update --memory 32m --memory-swap 32m web >/dev/null
        echo updated: $(docker exec web cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null)
        docker restart --time 1 web >/dev/null
        docker rm --force web >/dev/null; docker volume rm data >/dev/null
        docker system prune --force >/dev/null
        echo left: $(docker ps --all --quiet | wc -l) $(docker network ls --quiet | wc -l)";
    prints(
        &node,
        script,
        &[
            ("volume", "mine 1000:1000"),
            ("bound", "2000"),
            ("name", "page"),
            ("port", "page"),
            ("healthy", "begun"),
            ("terminal", "5000"),
            ("processes", "2"),
            ("copied", "6000 to"),
            ("limits", "64MiB"),
            ("updated", "33554432"),
            ("left", "0 3"),
        ],
    );
}
