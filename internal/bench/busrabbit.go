package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The queues of our RabbitMQ.
const (
	quorumQueue  = "quorum"
	classicQueue = "classic"
)

// rabbitMQ is a node of our own: in a directory that is removed, on loopback,
// with a port mapper of its own, so that it meets no other node.
type rabbitMQ struct {
	node, epmd *process
}

// stop ends it hard: nobody needs what it holds.
func (r *rabbitMQ) stop() {
	r.node.stop()
	r.epmd.stop()
}

// broker is one of its queues.
func (r *rabbitMQ) broker(queue string) *broker {
	return &broker{name: "RabbitMQ", process: r.node, url: "amqp://" + r.node.address,
		user: "guest", password: "guest", queue: "/amq/queue/" + queue}
}

// findRabbitMQ returns the programs that make a node: the server and Erlang's
// port mapper.
func findRabbitMQ() (server, epmd string, err error) {
	// What Debian has in PATH runs the system's node, as its user.
	server, err = exec.LookPath("/usr/lib/rabbitmq/bin/rabbitmq-server")
	if err != nil {
		server, err = exec.LookPath("rabbitmq-server")
	}
	if err == nil {
		epmd, err = exec.LookPath("epmd")
	}
	if err != nil {
		return "", "", fmt.Errorf("there is no RabbitMQ to measure beside (%w): install it, on Debian with apt-get install rabbitmq-server, "+
			"or leave it out with --part %s --part %s; no service needs to run, a node is started for the measurement", err, PartSDK, PartBacklog)
	}
	return server, epmd, nil
}

// startRabbitMQ starts a node with both queues in a new directory, and returns
// when it takes connections.
func startRabbitMQ(ctx context.Context, dir string) (*rabbitMQ, error) {
	server, mapper, err := findRabbitMQ()
	if err != nil {
		return nil, err
	}
	ports, err := closedPorts(3)
	if err != nil {
		return nil, err
	}
	if err := writeRabbitMQ(dir, ports[0]); err != nil {
		return nil, err
	}
	epmd := &process{cmd: exec.CommandContext(ctx, mapper, "-port", ports[1], "-address", "127.0.0.1"), address: "127.0.0.1:" + ports[1]}
	if err := epmd.run(ctx, epmd.listens); err != nil {
		return nil, fmt.Errorf("start epmd: %w", err)
	}
	// With its input kept and not read, the script becomes the node, so that
	// the process is the one whose CPU is meant.
	node := &process{cmd: exec.CommandContext(ctx, server, "-noinput"), address: "127.0.0.1:" + ports[0]}
	node.cmd.Env = rabbitEnvironment(dir, ports[1], ports[2])
	log, err := os.Create(filepath.Join(dir, "node.log"))
	if err == nil {
		defer log.Close()
		node.cmd.Stdout, node.cmd.Stderr = log, log
		err = node.run(ctx, node.listens)
	}
	if err != nil {
		epmd.stop()
		text, _ := os.ReadFile(filepath.Join(dir, "node.log"))
		return nil, fmt.Errorf("start RabbitMQ: %w\n%s", err, text)
	}
	return &rabbitMQ{node: node, epmd: epmd}, nil
}

// writeRabbitMQ writes the node's settings. It has its queues from the start, and
// else what RabbitMQ has by default.
func writeRabbitMQ(dir, port string) error {
	type object = map[string]any
	queue := func(name, kind string) object {
		return object{"name": name, "vhost": "/", "durable": true, "auto_delete": false, "arguments": object{"x-queue-type": kind}}
	}
	definitions, err := json.Marshal(object{
		"vhosts":      []object{{"name": "/"}},
		"users":       []object{{"name": "guest", "password": "guest", "tags": "administrator"}},
		"permissions": []object{{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}},
		"queues":      []object{queue(quorumQueue, "quorum"), queue(classicQueue, "classic")},
	})
	if err != nil {
		return err
	}
	var errs []error
	for name, content := range map[string]string{
		"rabbitmq.conf":    "listeners.tcp.default = 127.0.0.1:" + port + "\nload_definitions = " + filepath.Join(dir, "definitions.json") + "\n",
		"definitions.json": string(definitions),
		"plugins":          "[rabbitmq_amqp1_0].\n",
	} {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return errors.Join(errs...)
}

// rabbitEnvironment keeps the node out of the system's directories, and the
// caller's settings out of the node.
func rabbitEnvironment(dir, epmdPort, nodePort string) []string {
	keep := slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "RABBITMQ_") || strings.HasPrefix(e, "ERL_") || strings.HasPrefix(e, "HOME=")
	})
	return append(keep,
		"HOME="+dir, // where the cookie goes
		"ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT="+epmdPort,
		"RABBITMQ_NODENAME=bellhop-bench@localhost", "RABBITMQ_DIST_PORT="+nodePort,
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq.conf"),
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "none"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "plugins"),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(dir, "log"),
		"RABBITMQ_ALLOW_INPUT=1",
	)
}

// listens tells whether the process takes connections.
func (p *process) listens() bool {
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// closedPorts are n ports of loopback on which nobody listens.
func closedPorts(n int) ([]string, error) {
	var ports []string
	for range n {
		address, err := closedPort()
		if err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
