package webserver

import (
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
)

// indexFile is what a folder shows.
const indexFile = "index.html"

// serveFile answers with a file of a folder, which nothing leads out of: neither a path
// nor a symbolic link. It reports whether there was one. Folders are not listed, and
// what begins with a dot is not shown, as it is not meant for anybody else.
func serveFile(w http.ResponseWriter, r *http.Request, folder string) bool {
	name, ok := fileName(r.URL.Path)
	if !ok {
		return false
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return false
	}
	defer root.Close()
	file, info := openFile(root, name)
	if file == nil {
		return false
	}
	defer file.Close()
	if info.IsDir() {
		if !strings.HasSuffix(r.URL.Path, "/") {
			// Relative links in the index count from the folder.
			to := url.URL{Path: r.URL.Path + "/", RawQuery: r.URL.RawQuery}
			http.Redirect(w, r, to.String(), http.StatusMovedPermanently)
			return true
		}
		index, about := openFile(root, path.Join(name, indexFile))
		if index == nil {
			return false
		}
		defer index.Close()
		file, info = index, about
	} else if strings.HasSuffix(r.URL.Path, "/") {
		return false
	}
	if !info.Mode().IsRegular() {
		return false
	}
	http.ServeContent(w, r, info.Name(), info.ModTime(), file)
	return true
}

// openFile opens what is there to be read, and does not wait for the other end of a pipe.
func openFile(root *os.Root, name string) (*os.File, os.FileInfo) {
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, nil
	}
	return file, info
}

// fileName is the name, below the folder, of what a decoded path asks for. Paths that are
// written in another way than the one are nobody's.
func fileName(urlPath string) (name string, ok bool) {
	rest, absolute := strings.CutPrefix(urlPath, "/")
	if !absolute || strings.ContainsAny(urlPath, "\\\x00") {
		return "", false
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" {
		return ".", urlPath == "/"
	}
	for segment := range strings.SplitSeq(rest, "/") {
		// RFC 8615 has the one name that begins with a dot and is for everybody.
		if segment == "" || segment[0] == '.' && segment != ".well-known" {
			return "", false
		}
	}
	return rest, true
}
