package http1

import (
	"net/http"
	"strconv"
)

// AppendError writes a whole small response that says no more than its status.
// minor is the client's version. Only after close may it answer HEAD, whose
// answer has no body: see AppendErrorHead.
func AppendError(dst []byte, status, minor int, close bool) []byte {
	dst = AppendErrorHead(dst, status, minor, close)
	return appendSaying(dst, status)
}

// AppendErrorHead is AppendError in answer to HEAD: without the body.
func AppendErrorHead(dst []byte, status, minor int, close bool) []byte {
	dst = appendStatus(dst, status)
	if status == statusNoMethod {
		dst = append(dst, "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"...)
	}
	dst = append(dst, "Content-Type: text/plain\r\n"...)
	dst = appendFraming(dst, int64(len("404 \n")+len(http.StatusText(status))), false)
	return appendConnection(dst, minor, close)
}

// appendSaying writes the body: "404 Not Found\n".
func appendSaying(dst []byte, status int) []byte {
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	return append(dst, '\n')
}

// AppendRedirect writes a response without a body that sends the client of r to
// the same target at another scheme and port; 0 leaves the port out. status is
// 301, 302, 303, 307 or 308. r must have a Host: without one, as in HTTP/1.0,
// there is no URL to send the client to.
func AppendRedirect(dst []byte, r *Request, status int, scheme string, port uint16, close bool) []byte {
	dst = appendStatus(dst, status)
	dst = append(dst, "Location: "...)
	dst = append(dst, scheme...)
	dst = append(dst, "://"...)
	dst = append(dst, r.Host...)
	if port != 0 {
		dst = append(dst, ':')
		dst = strconv.AppendUint(dst, uint64(port), 10)
	}
	if r.Target[0] == '/' {
		dst = append(dst, r.Target...)
	}
	dst = append(dst, "\r\nContent-Length: 0\r\n"...)
	return appendConnection(dst, r.Minor, close)
}

func appendStatus(dst []byte, status int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	return append(dst, "\r\n"...)
}

// appendConnection ends a head with what the client's version makes necessary.
func appendConnection(dst []byte, minor int, close bool) []byte {
	switch {
	case close:
		dst = append(dst, "Connection: close\r\n"...)
	case minor == 0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}
