package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
)

// control asks the supervisor of a rig.
func (r *rig) control(method, path string) (string, error) {
	request, err := http.NewRequest(method, "http://"+r.address(portControl)+path, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Timeout: 20 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("the supervisor of %s does not answer: %w", r.Dir, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(text)))
	}
	return string(text), err
}

func down(arguments []string) error {
	r, err := oneDirectory(arguments)
	if err != nil {
		return err
	}
	if !r.Supervisor.alive() {
		fmt.Println("not up")
		return nil
	}
	if _, err := r.control("POST", "/down"); err != nil {
		// Its children die with it.
		return r.Supervisor.kill()
	}
	return waitFor(context.Background(), 20*time.Second, "the end of the rig", func() error {
		if r.Supervisor.alive() {
			return errors.New("it still runs")
		}
		return nil
	})
}

func status(arguments []string) error {
	r, err := oneDirectory(arguments)
	if err != nil {
		return err
	}
	if !r.Supervisor.alive() {
		return errors.New("not up")
	}
	text, err := r.control("GET", "/status")
	if err != nil {
		return fmt.Errorf("not whole:\n%w", err)
	}
	fmt.Printf("%ssupervisor               running pid %d, ports %d to %d, API %s\nexport KUBECONFIG=%s\n",
		text, r.Supervisor.PID, r.Base, r.Base+portCount-1, r.server(), r.kubeconfig("admin"))
	return nil
}

func stop(arguments []string) error { return tell("/stop/", arguments) }

func start(arguments []string) error { return tell("/start/", arguments) }

func tell(path string, arguments []string) error {
	if len(arguments) != 2 {
		return fmt.Errorf("takes COMPONENT DIR; components are %s", componentNames)
	}
	r, err := openRig(arguments[1])
	if err != nil {
		return err
	}
	_, err = r.control("POST", path+arguments[0])
	return err
}

func signalComponent(arguments []string) error {
	if len(arguments) != 3 {
		return errors.New("takes NAME COMPONENT DIR; names are STOP, CONT, TERM and KILL")
	}
	return tell("/signal/"+arguments[0]+"/", arguments[1:])
}

var scriptName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// placeScript checks a script and puts it where the load driver reads it.
func placeScript(arguments []string) error {
	if len(arguments) != 3 || !scriptName.MatchString(arguments[1]) {
		return errors.New("takes DIR NAME FILE, or DIR NAME --remove; a name has small letters, digits, dots and dashes")
	}
	r, err := openRig(arguments[0])
	if err != nil {
		return err
	}
	path := r.path("load", arguments[1]+".yaml")
	if arguments[2] == "--remove" {
		return os.Remove(path)
	}
	text, err := readInput(arguments[2])
	if err != nil {
		return err
	}
	if _, err := parseScript(text); err != nil {
		return fmt.Errorf("%s: %w", arguments[2], err)
	}
	return writeWhole(path, text)
}

func apply(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("takes DIR FILE")
	}
	r, err := openRig(arguments[0])
	if err != nil {
		return err
	}
	text, err := readInput(arguments[1])
	if err != nil {
		return err
	}
	return r.applyDocuments(context.Background(), string(text))
}

// readInput is a file's text, or standard input's for "-".
func readInput(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(filepath.Clean(name))
}

// version says which releases are inside.
func version([]string) error {
	info, has := debug.ReadBuildInfo()
	if !has {
		return errors.New("built without a module")
	}
	fmt.Println(info.GoVersion)
	for _, dependency := range info.Deps {
		switch dependency.Path {
		case "k8s.io/kubernetes", "go.etcd.io/etcd/server/v3", "sigs.k8s.io/kwok", "sigs.k8s.io/metrics-server":
			fmt.Println(dependency.Path, dependency.Version)
		}
	}
	return nil
}
