package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	_ "k8s.io/cri-api/pkg/apis/runtime/v1" // registers the messages
)

// A call of the CRI (`runtime/v1/api.proto`), such as "RuntimeService.RunPodSandbox": one line of standard input.
type criCall struct {
	ID      int             `json:"id"`
	Method  string          `json:"method"`
	Request json.RawMessage `json:"request"`
}

// What became of the call of this ID: one line of standard output.
type criAnswer struct {
	ID       int             `json:"id"`
	Response json.RawMessage `json:"response,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// Makes calls to the runtime at the socket that is the only argument, all at once, until standard input ends.
func cri() int {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "Cannot call a runtime: the only argument must be the path of its socket")
		return 2
	}
	// A runtime that is started again is not there for a moment.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, os.Stderr))
	soon := backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1, MaxDelay: 10 * time.Millisecond}
	connection, err := grpc.NewClient(
		"unix://"+os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: soon, MinConnectTimeout: time.Second}),
	)
	if err != nil {
		fmt.Fprintf(os.Stderr, "Cannot call a runtime: %v\n", err)
		return 1
	}
	var calls sync.WaitGroup
	var output sync.Mutex
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var call criCall
		if err := json.Unmarshal(lines.Bytes(), &call); err != nil {
			fmt.Fprintf(os.Stderr, "Cannot read %q: %v\n", lines.Text(), err)
			return 1
		}
		calls.Go(func() {
			answer := answerOf(connection, call)
			output.Lock()
			defer output.Unlock()
			json.NewEncoder(os.Stdout).Encode(answer)
		})
	}
	calls.Wait()
	return 0
}

func answerOf(connection *grpc.ClientConn, call criCall) criAnswer {
	response, err := invoke(connection, call)
	if err != nil {
		return criAnswer{ID: call.ID, Error: err.Error()}
	}
	return criAnswer{ID: call.ID, Response: response}
}

func invoke(connection *grpc.ClientConn, call criCall) (json.RawMessage, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("runtime.v1." + call.Method))
	if err != nil {
		return nil, err
	}
	method, isMethod := found.(protoreflect.MethodDescriptor)
	if !isMethod {
		return nil, fmt.Errorf("%q is no method", call.Method)
	}
	request, err := newMessage(method.Input())
	if err != nil {
		return nil, err
	}
	response, err := newMessage(method.Output())
	if err != nil {
		return nil, err
	}
	if err := protojson.Unmarshal(call.Request, request); err != nil {
		return nil, err
	}
	path := fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())
	if err := connection.Invoke(context.Background(), path, request, response); err != nil {
		return nil, err
	}
	return protojson.Marshal(response)
}

func newMessage(descriptor protoreflect.MessageDescriptor) (proto.Message, error) {
	messageType, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		return nil, err
	}
	return messageType.New().Interface(), nil
}
