package durable

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strconv"
)

// Journal is an append-only file of records. A record is a line: the payload's
// length and its CRC-32C in eight hex digits each, then the payload, so that a
// journal can be read with the eye as well.
type Journal struct {
	fsys    FS
	path    string
	records [][]byte
	torn    int
	exists  bool
}

// headerSize is that of "00000000 00000000 ".
const headerSize = 18

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// OpenJournal reads the journal at path. A file that is not there is an empty
// journal. Nothing is changed on disk: see Torn for what does not read.
func OpenJournal(fsys FS, path string) (*Journal, error) {
	data, err := fsys.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Journal{fsys: fsys, path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("journal %s: read: %w", path, err)
	}
	j := &Journal{fsys: fsys, path: path, exists: true}
	for len(data) > 0 {
		record, rest, ok := cutRecord(data)
		if !ok {
			j.torn = len(data)
			break
		}
		j.records = append(j.records, record)
		data = rest
	}
	return j, nil
}

func cutRecord(data []byte) (record, rest []byte, ok bool) {
	if len(data) < headerSize || data[8] != ' ' || data[17] != ' ' {
		return nil, nil, false
	}
	size, err := strconv.ParseUint(string(data[:8]), 16, 32)
	if err != nil {
		return nil, nil, false
	}
	sum, err := strconv.ParseUint(string(data[9:17]), 16, 32)
	if err != nil {
		return nil, nil, false
	}
	body := data[headerSize:]
	if uint64(len(body)) < size+1 || body[size] != '\n' {
		return nil, nil, false
	}
	record, rest = body[:size], body[size+1:]
	// Exactly the header that Append writes, or not a record: ParseUint would
	// also take upper-case digits.
	if header(record) != string(data[:headerSize]) || uint64(crc32.Checksum(record, castagnoli)) != sum {
		return nil, nil, false
	}
	return record, rest, true
}

func header(record []byte) string {
	return fmt.Sprintf("%08x %08x ", len(record), crc32.Checksum(record, castagnoli))
}

// Exists says whether there is a file, be it empty or torn.
func (j *Journal) Exists() bool { return j.exists }

// Records returns what was appended, oldest first.
func (j *Journal) Records() [][]byte { return j.records }

// Torn is the number of bytes at the end that are not a whole record: what a
// writer was about to append when it was stopped.
func (j *Journal) Torn() int { return j.torn }

// Append writes one record and returns when it is on disk. After an error the
// journal takes no more, because whatever follows a torn record cannot be read.
func (j *Journal) Append(record []byte) error {
	if j.torn > 0 {
		return fmt.Errorf("journal %s: ends in a torn record: remove it before appending", j.path)
	}
	line := make([]byte, 0, headerSize+len(record)+1)
	line = append(append(append(line, header(record)...), record...), '\n')
	if err := j.append(line); err != nil {
		j.torn = len(line)
		return fmt.Errorf("journal %s: append: %w", j.path, err)
	}
	j.records = append(j.records, record)
	return nil
}

func (j *Journal) append(line []byte) error {
	f, err := j.fsys.Append(j.path)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil || j.exists {
		return err
	}
	j.exists = true
	return j.fsys.SyncDir(filepath.Dir(j.path))
}

// Remove deletes the journal and returns when that is on disk.
func (j *Journal) Remove() error {
	if err := j.fsys.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("journal %s: remove: %w", j.path, err)
	}
	if err := j.fsys.SyncDir(filepath.Dir(j.path)); err != nil {
		return fmt.Errorf("journal %s: sync its folder: %w", j.path, err)
	}
	j.records, j.torn, j.exists = nil, 0, false
	return nil
}
