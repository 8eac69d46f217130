//go:build linux

package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// testService is the service that implementations of gRPC test each other with.
type testService struct {
	pb.UnimplementedTestServiceServer
}

func (testService) UnaryCall(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if s := r.GetResponseStatus(); s.GetCode() != 0 {
		return nil, status.Error(codes.Code(s.Code), s.Message)
	}
	in, _ := metadata.FromIncomingContext(ctx)
	grpc.SetHeader(ctx, metadata.Pairs("x-seen", in.Get("x-sent")[0]))
	grpc.SetTrailer(ctx, metadata.Pairs("x-last", "trailer", "x-last-bin", "\x00\xff"))
	return &pb.SimpleResponse{Payload: r.Payload}, nil
}

func (testService) StreamingOutputCall(r *pb.StreamingOutputCallRequest, s grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	for _, p := range r.ResponseParameters {
		if err := s.Send(&pb.StreamingOutputCallResponse{Payload: payload(int(p.Size))}); err != nil {
			return err
		}
	}
	return nil
}

func (testService) StreamingInputCall(s grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
	var sum int32
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: sum})
		} else if err != nil {
			return err
		}
		sum += int32(len(r.Payload.Body))
	}
}

func (testService) FullDuplexCall(s grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.Send(&pb.StreamingOutputCallResponse{Payload: r.Payload}); err != nil {
			return err
		}
	}
}

func payload(n int) *pb.Payload { return &pb.Payload{Body: bytes.Repeat([]byte("g"), n)} }

func startGRPC(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	pb.RegisterTestServiceServer(s, testService{})
	var served sync.WaitGroup
	served.Go(func() { s.Serve(l) })
	t.Cleanup(func() {
		s.Stop()
		served.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// callGRPC is a client of the listener.
func callGRPC(t testing.TB, k *Socket, config *tls.Config) pb.TestServiceClient {
	t.Helper()
	c := insecure.NewCredentials()
	if config != nil {
		c = credentials.NewTLS(config)
	}
	cc, err := grpc.NewClient("passthrough:///"+k.Endpoint().String(), grpc.WithTransportCredentials(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return pb.NewTestServiceClient(cc)
}

// TestGRPC makes calls of every kind from end to end: HTTP/2 over TLS from the client,
// in the clear to two servers that share the calls.
func TestGRPC(t *testing.T) {
	k, h, config := secured(t, 2, h2cListenerOf(startGRPC(t), startGRPC(t)), "h2")
	c := callGRPC(t, k, config)
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "x-sent", "metadata"), patience)
	defer cancel()

	t.Run("unary", func(t *testing.T) {
		for _, size := range []int{0, 1, 1000, 300_000} {
			var header, trailer metadata.MD
			r, err := c.UnaryCall(ctx, &pb.SimpleRequest{Payload: payload(size)}, grpc.Header(&header), grpc.Trailer(&trailer))
			if err != nil || len(r.Payload.Body) != size {
				t.Fatalf("%d bytes: %v, %v", size, r, err)
			}
			if header.Get("x-seen")[0] != "metadata" || trailer.Get("x-last")[0] != "trailer" || trailer.Get("x-last-bin")[0] != "\x00\xff" {
				t.Errorf("header %v, trailer %v", header, trailer)
			}
		}
	})
	t.Run("status", func(t *testing.T) {
		_, err := c.UnaryCall(ctx, &pb.SimpleRequest{ResponseStatus: &pb.EchoStatus{Code: int32(codes.DataLoss), Message: "läuft\n aus"}})
		if s, _ := status.FromError(err); s.Code() != codes.DataLoss || s.Message() != "läuft\n aus" {
			t.Errorf("%v", err)
		}
		if _, err := c.UnimplementedCall(ctx, &pb.Empty{}); status.Code(err) != codes.Unimplemented {
			t.Errorf("%v", err)
		}
	})
	t.Run("from the server", func(t *testing.T) {
		sizes := []int{31415, 9, 2653, 58979, 1 << 20}
		var r pb.StreamingOutputCallRequest
		for _, size := range sizes {
			r.ResponseParameters = append(r.ResponseParameters, &pb.ResponseParameters{Size: int32(size)})
		}
		s, err := c.StreamingOutputCall(ctx, &r)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range sizes {
			if m, err := s.Recv(); err != nil || len(m.Payload.Body) != size {
				t.Fatalf("message of %d bytes: %v", size, err)
			}
		}
		if _, err := s.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
	})
	t.Run("from the client", func(t *testing.T) {
		s, err := c.StreamingInputCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if err := s.Send(&pb.StreamingInputCallRequest{Payload: payload(27182)}); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := s.CloseAndRecv(); err != nil || r.AggregatedPayloadSize != 50*27182 {
			t.Errorf("%v, %v", r, err)
		}
	})
	t.Run("both ways", func(t *testing.T) {
		var streams sync.WaitGroup
		for range 20 {
			streams.Go(func() {
				s, err := c.FullDuplexCall(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				for i := range 50 {
					if err := s.Send(&pb.StreamingOutputCallRequest{Payload: payload(i * i)}); err != nil {
						t.Error(err)
						return
					}
					if m, err := s.Recv(); err != nil || len(m.Payload.GetBody()) != i*i {
						t.Errorf("message %d: %v", i, err)
						return
					}
				}
				s.CloseSend()
				if _, err := s.Recv(); !errors.Is(err, io.EOF) {
					t.Errorf("at the end: %v", err)
				}
			})
		}
		streams.Wait()
	})
	eventually(t, "nothing to be under way", func() bool { return h.Active("l", "a")+h.Active("l", "b") == 0 })
	n := h.Counters()
	if a, b := n.Backends["a"].Requests, n.Backends["b"].Requests; a+b != n.Requests || max(a, b)-min(a, b) > 1 {
		t.Errorf("%d calls on one server and %d on the other", a, b)
	}
	if n.Errors != 0 || n.Connections != 1 {
		t.Errorf("counted %+v", n)
	}
	t.Run("cancelled", func(t *testing.T) {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		s, err := c.FullDuplexCall(short)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%v", err)
		}
	})
	eventually(t, "the cancelled call to have ended", func() bool { return h.Active("l", "a")+h.Active("l", "b") == 0 })
}
