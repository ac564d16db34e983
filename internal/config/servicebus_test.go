package config_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bellhop/internal/config"
)

const (
	connection = "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=app;SharedAccessKey=hunter2="
	namespace  = "servicebus://contoso.servicebus.windows.net"
)

func TestServiceBusLocation(t *testing.T) {
	for raw, want := range map[string]struct {
		serviceBus, redis bool
		namespace, shown  string
	}{
		"servicebus":               {true, false, "", "servicebus"},
		namespace:                  {true, false, "contoso.servicebus.windows.net", namespace},
		namespace + "/":            {true, false, "contoso.servicebus.windows.net", namespace + "/"},
		"servicebus://u:hunter2@h": {true, false, "u:hunter2@h", "***"},
		"redis":                    {false, true, "", "redis"},
		"redis://h":                {false, true, "", "redis://h"},
		"embedded":                 {false, false, "", "embedded"},
	} {
		l := config.NewLocation(raw)
		if l.ServiceBus() != want.serviceBus || l.Redis() != want.redis || l.Namespace() != want.namespace || l.String() != want.shown {
			t.Errorf("%s: %v, %v, %q, %q, want %+v", raw, l.ServiceBus(), l.Redis(), l.Namespace(), l.String(), want)
		}
	}
}

// TestServiceBusSources sets each setting by its flag and by its variable.
func TestServiceBusSources(t *testing.T) {
	certs := filepath.Join(t.TempDir(), "ca.pem")
	write(t, certs, certificate(t), 0o644)
	file := filepath.Join(t.TempDir(), "connection")
	write(t, file, connection+"\n", 0o600)
	byFlag := serve(t, nil, "--queue", "servicebus", "--servicebus-connection-string", connection, "--servicebus-ca-file", certs)
	byVariable := serve(t, []string{"BELLHOP_QUEUE=servicebus", "BELLHOP_SERVICEBUS_CONNECTION_STRING=" + connection, "BELLHOP_SERVICEBUS_CA_FILE=" + certs})
	byFile := serve(t, []string{"BELLHOP_QUEUE=servicebus", "BELLHOP_SERVICEBUS_CONNECTION_STRING_FILE=" + file, "BELLHOP_SERVICEBUS_CA_FILE=" + certs})
	if !reflect.DeepEqual(byFlag, byVariable) || !reflect.DeepEqual(byFlag, byFile) {
		t.Errorf("flag, variable and file differ:\n%+v\n%+v\n%+v", byFlag, byVariable, byFile)
	}
	if byFlag.ServiceBusConnectionString.Reveal() != connection || byFlag.ServiceBusCAFile != certs {
		t.Errorf("settings are %+v", byFlag.ServiceBusAccess)
	}
	if shown := fmt.Sprintf("%+v %#v", byFlag, byFlag); strings.Contains(shown, "hunter2") {
		t.Errorf("the key is shown: %s", shown)
	}
	own := serve(t, []string{"BELLHOP_SERVICEBUS_DEVELOPER_LOGIN=true"}, "--queue", namespace)
	if !own.ServiceBusDeveloperLogin || own.Queue.Namespace() != "contoso.servicebus.windows.net" || own.Local() != true {
		t.Errorf("settings are %+v", own.Data)
	}
}

func TestServiceBusFaults(t *testing.T) {
	const flag = "servicebus-connection-string"
	for _, test := range []struct {
		queue, connection string
		args              []string
		flag, problem     string
	}{
		{"servicebus", connection, nil, "", ""},
		{"servicebus", "endpoint=sb://localhost:5672;sharedaccesskeyname=a;sharedaccesskey=hunter2;usedevelopmentemulator=TRUE;", nil, "", ""},
		{"servicebus", "Endpoint=sb://h;SharedAccessSignature=hunter2", nil, "", ""},
		{namespace, "", nil, "", ""},
		{namespace, "", []string{"--servicebus-developer-login"}, "", ""},
		{"servicebus", "", nil, flag, "needs the connection string"},
		{"servicebus", "hunter2", nil, flag, "its parts are NAME=VALUE"},
		{"servicebus", "Key=hunter2", nil, flag, "no Endpoint=sb://"},
		{"servicebus", "Endpoint=https://hunter2", nil, flag, "no Endpoint=sb://"},
		{"servicebus", "Endpoint=sb://h;SharedAccessKey=hunter2", nil, flag, "has no key"},
		{"servicebus", connection + ";EntityPath=bellhop-bulk", nil, flag, "is for one queue"},
		{"servicebus", connection, []string{"--servicebus-developer-login"}, "servicebus-developer-login", "nobody's identity"},
		{"servicebus", connection, []string{"--servicebus-ca-file", "missing"}, "servicebus-ca-file", "no such file"},
		{"servicebus", connection, []string{"--redis-password", "hunter2"}, "redis-password", "neither the store nor the queue is in Redis"},
		{"servicebus", connection, []string{"--store", "servicebus"}, "store", "want embedded, a redis:// or a rediss:// URL"},
		{namespace, connection, nil, flag, "by its identity"},
		{"servicebus://", "", nil, "queue", "want the host of a namespace"},
		{"servicebus://user:hunter2@host", "", nil, "queue", "want the host of a namespace"},
		{"servicebus://host:5671", "", nil, "queue", "want the host of a namespace"},
		{"kafka://host", "", nil, "queue", "want embedded, servicebus, or"},
		{"embedded", connection, nil, flag, "the queue is not in Service Bus"},
		{"embedded", "", []string{"--servicebus-developer-login"}, "servicebus-developer-login", "the queue is not in Service Bus"},
		{"embedded", "", []string{"--servicebus-ca-file", "missing"}, "servicebus-ca-file", "the queue is not in Service Bus"},
	} {
		environ := []string{"BELLHOP_QUEUE=" + test.queue, "BELLHOP_SERVICEBUS_CONNECTION_STRING=" + test.connection}
		got := faults(t, environ, append([]string{"serve"}, test.args...)...)
		switch {
		case test.flag == "" && len(got) > 0:
			t.Errorf("%+v: faults %v, want none", test, got)
		case test.flag != "" && (len(got) != 1 || got[0].Flag != test.flag || !strings.Contains(got[0].Problem, test.problem)):
			t.Errorf("%+v: faults %v, want one of --%s", test, got, test.flag)
		}
		if strings.Contains(got.Error(), "hunter2") {
			t.Errorf("%+v: the secret is shown: %v", test, got)
		}
	}
}

// TestServiceBusUnused checks that commands can be run in the shell of a serve
// whose queue is in Service Bus.
func TestServiceBusUnused(t *testing.T) {
	environ := []string{"BELLHOP_SERVICEBUS_CONNECTION_STRING=Endpoint=sb://localhost;SharedAccessKeyName=n;SharedAccessKey=hunter2"}
	for _, command := range [][]string{{"verify"}, {"dead", "list"}, {"doctor"}} {
		if got := faults(t, environ, command...); len(got) > 0 {
			t.Errorf("%v: faults %v, want none", command, got)
		}
	}
}

func TestSetupServiceBus(t *testing.T) {
	for _, test := range []struct {
		environ []string
		args    []string
		at      string // "" for a fault
		flag    string
	}{
		{[]string{"BELLHOP_SERVICEBUS_CONNECTION_STRING=" + connection}, nil, "servicebus", ""},
		{nil, []string{"--queue", namespace}, namespace, ""},
		{[]string{"BELLHOP_QUEUE=" + namespace}, []string{"--print"}, namespace, ""},
		{nil, []string{"--print"}, "servicebus", ""},
		{nil, nil, "", "servicebus-connection-string"},
		{[]string{"BELLHOP_QUEUE=redis"}, []string{"--print"}, "", "queue"},
		{nil, []string{"--print", "--queue", "servicebus://"}, "", "queue"},
		{[]string{"BELLHOP_SERVICEBUS_CONNECTION_STRING=hunter2"}, []string{"--print"}, "", "servicebus-connection-string"},
	} {
		args := slices.Concat([]string{"setup", "servicebus"}, test.args)
		if test.at == "" {
			if got := faults(t, test.environ, args...); len(got) != 1 || got[0].Flag != test.flag {
				t.Errorf("%+v: faults %v", test, got)
			}
			continue
		}
		got := parse(t, test.environ, args...).Command.(*config.SetupServiceBus)
		if got.Location().Reveal() != test.at || got.Print != slices.Contains(test.args, "--print") {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}
