// SPDX-License-Identifier: Apache-2.0

// Judges objects as GitOps tools do: with the kstatus library, with Flux's evaluator of health
// check expressions, and with the Lua interpreter of Argo CD.
//
//	gitops HEALTH.lua EXPRESSIONS.yaml < objects.json > verdicts.json
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

type verdict struct {
	Kstatus string `json:"kstatus"`
	Flux    string `json:"flux"`
	Argo    string `json:"argo"`
	Message string `json:"message"`
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
}

func run(script, expressions string) error {
	health, err := os.ReadFile(script)
	if err != nil {
		return err
	}
	evaluators, err := read(expressions)
	if err != nil {
		return err
	}
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	verdicts := []verdict{}
	for _, one := range objects {
		found, err := judge(one, string(health), evaluators)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, *found)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

// read returns an evaluator for each kind in a document with `healthCheckExprs`.
func read(path string) (map[string]*cel.StatusEvaluator, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var document struct {
		Spec struct {
			HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	evaluators := map[string]*cel.StatusEvaluator{}
	for _, one := range document.Spec.HealthCheckExprs {
		made, err := cel.NewStatusEvaluator(&one.HealthCheckExpressions)
		if err != nil {
			return nil, err
		}
		evaluators[one.APIVersion+"/"+one.Kind] = made
	}
	return evaluators, nil
}

func judge(text []byte, health string, evaluators map[string]*cel.StatusEvaluator) (*verdict, error) {
	object := &unstructured.Unstructured{} // its numbers are int64, as in a client
	if err := object.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	plain, err := status.Compute(object)
	if err != nil {
		return nil, err
	}
	evaluator := evaluators[object.GetAPIVersion()+"/"+object.GetKind()]
	if evaluator == nil {
		return nil, fmt.Errorf("no expressions for %s", object.GetKind())
	}
	flux, err := evaluator.Evaluate(context.Background(), object)
	if err != nil {
		return nil, err
	}
	argo, message, err := argo(health, object.Object)
	if err != nil {
		return nil, err
	}
	return &verdict{Kstatus: string(plain.Status), Flux: string(flux.Status), Argo: argo, Message: message}, nil
}

// argo runs a health check as Argo CD does: `obj` is given, a table with `status` comes back.
func argo(script string, object map[string]any) (string, string, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, one := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.LoadLibName, lua.OpenPackage},
	} {
		call := lua.P{Fn: state.NewFunction(one.open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(one.name)); err != nil {
			return "", "", err
		}
	}
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return "", "", err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the health check returns no table")
	}
	return lua.LVAsString(table.RawGetString("status")), lua.LVAsString(table.RawGetString("message")), nil
}

func value(state *lua.LState, from any) lua.LValue {
	switch found := from.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, inner := range found {
			table.RawSetString(key, value(state, inner))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, inner := range found {
			table.Append(value(state, inner))
		}
		return table
	case string:
		return lua.LString(found)
	case bool:
		return lua.LBool(found)
	case int64:
		return lua.LNumber(found)
	case float64:
		return lua.LNumber(found)
	}
	return lua.LNil
}
