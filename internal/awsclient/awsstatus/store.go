// Package awsstatus keeps a status document (package appstatus) in a bucket of
// S3, and tells CloudFront when it has changed. The marks of closings are in an
// object beside the document, encrypted with a key of the account so that a
// distribution that shows the bucket cannot show them.
//
// Both objects are written on the condition that they are what was read:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
package awsstatus

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

const (
	contentType = "application/json"
	// writeKey is the metadata that tells one writing of the document from all
	// others, also where their texts are the same.
	writeKey = "noren-write"
	// largest bounds what is read of an object.
	largest = 4 * appstatus.MaxSize
	// elsewhere is an ETag that no object has: a write under the condition that
	// the object has it is refused for that reason, or for want of a right.
	elsewhere = `"noren-asks-whether-it-may-write"`
)

// A Config says where the document is.
type Config struct {
	AWS awsclient.Config
	// Bucket and Key name the object.
	Bucket, Key string
	// Distribution is the ID of the distribution of CloudFront that serves it, ""
	// for none, and Path where customers find it there: "/app-status.json".
	Distribution, Path string
}

// A Store is the document and its marks. It is safe for concurrent use.
type Store struct {
	cfg   Config
	conn  *awsclient.Conn
	s3    *s3.Client
	front *cloudfront.Client

	mu sync.Mutex
	// invalidations are the IDs of those made or found by this process, by
	// reference.
	invalidations map[string]string
}

// Open makes a store. It asks AWS nothing yet.
func Open(ctx context.Context, cfg Config, env driver.Env) (*Store, error) {
	conn, err := awsclient.Open(ctx, cfg.AWS, env)
	if err != nil {
		return nil, err
	}
	return &Store{cfg: cfg, conn: conn, invalidations: map[string]string{},
		s3: s3.NewFromConfig(conn.AWS, func(o *s3.Options) {
			o.UsePathStyle = cfg.AWS.Endpoint != "" // an emulator has no name for each bucket
			// An object of another hand may have no checksum; that is no news for people.
			o.DisableLogOutputChecksumValidationSkipped = true
		}),
		front: cloudfront.NewFromConfig(conn.AWS),
	}, nil
}

// String names the document for people.
func (s *Store) String() string { return "s3://" + s.cfg.Bucket + "/" + s.cfg.Key }

// MarksKey is the object that holds the marks.
func (s *Store) MarksKey() string {
	dir, base := path.Split(s.cfg.Key)
	return dir + "." + base + ".marks"
}

// Account is the number of the account that noren works in.
func (s *Store) Account(ctx context.Context) (string, error) { return s.conn.Account(ctx) }

// An Object is what was read: Data is nil where there is none.
type Object struct {
	Data []byte

	tag   string // its ETag, "" where there is none
	write string // which writing of it this is
}

// Document reads the document.
func (s *Store) Document(ctx context.Context) (Object, error) {
	return s.get(ctx, s.cfg.Key)
}

// Marks reads the marks by service, and the object that they are in.
func (s *Store) Marks(ctx context.Context) (map[string]string, Object, error) {
	o, err := s.get(ctx, s.MarksKey())
	if err != nil {
		return nil, o, err
	}
	all := map[string]string{}
	if o.Data == nil {
		return all, o, nil
	}
	if err := json.Unmarshal(o.Data, &all); err != nil {
		from := "s3://" + s.cfg.Bucket + "/" + s.MarksKey()
		return nil, o, &fault.Fault{Code: fault.Invalid, Summary: "marks of the status document cannot be read", Err: err,
			Detail: fmt.Sprintf("%s, which tells who closed what in %s, was edited: %v.\nPut it aside: publishing then tells what is held closed from here, and calls open what is not, also what another noren holds closed.", from, s.conn.Env.Name, err),
			Try:    []string{"aws s3 mv " + from + " " + from + ".old", "noren appstatus publish --env " + s.conn.Env.Name}}
	}
	return all, o, nil
}

func (s *Store) get(ctx context.Context, key string) (Object, error) {
	out, err := s.ask(ctx, key, true)
	if isMissing(err) {
		return Object{}, nil
	}
	if err != nil {
		return Object{}, s.explain(ctx, err, "read", "s3:GetObject", key)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, largest+1))
	if err != nil {
		return Object{}, fmt.Errorf("read %s: %w: %w", s.object(key), action.ErrUnavailable, err)
	}
	if len(data) > largest {
		return Object{}, &fault.Fault{Code: fault.Invalid, Summary: "this is no status document",
			Detail: fmt.Sprintf("%s has over %d bytes. Is it the right key?", s.object(key), largest)}
	}
	o := Object{Data: data, tag: aws.ToString(out.ETag), write: out.Metadata[writeKey]}
	if o.write == "" { // of another hand
		o.write = o.tag + aws.ToTime(out.LastModified).String()
	}
	return o, nil
}

func (s *Store) ask(ctx context.Context, key string, mine bool) (*s3.GetObjectOutput, error) {
	in := &s3.GetObjectInput{Bucket: aws.String(s.cfg.Bucket), Key: aws.String(key)}
	if mine {
		account, err := s.conn.Account(ctx)
		if err != nil {
			return nil, err
		}
		in.ExpectedBucketOwner = aws.String(account)
	}
	return s.s3.GetObject(ctx, in)
}

// object names an object for people.
func (s *Store) object(key string) string { return "s3://" + s.cfg.Bucket + "/" + key }

// WriteDocument writes the document if it is as it was read, and returns it as
// written. Where someone else wrote meanwhile, the error wraps
// action.ErrUnavailable: to read again may help.
func (s *Store) WriteDocument(ctx context.Context, was Object, data []byte) (Object, error) {
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // it cannot fail
	now := Object{Data: data, write: hex.EncodeToString(nonce[:])}
	in := &s3.PutObjectInput{CacheControl: aws.String(appstatus.CacheControl), Metadata: map[string]string{writeKey: now.write}}
	out, err := s.put(ctx, s.cfg.Key, was, data, in)
	if err != nil {
		return Object{}, err
	}
	now.tag = aws.ToString(out.ETag)
	return now, nil
}

// WriteMarks writes the marks if they are as they were read. They stay there when
// there are none, so that noren needs no right to delete.
func (s *Store) WriteMarks(ctx context.Context, was Object, marks map[string]string) (Object, error) {
	raw, err := json.Marshal(marks)
	if err != nil {
		return Object{}, fmt.Errorf("marks of %s: %w", s, err)
	}
	out, err := s.put(ctx, s.MarksKey(), was, raw, sealed())
	if err != nil {
		return Object{}, err
	}
	return Object{Data: raw, tag: aws.ToString(out.ETag)}, nil
}

// sealed is how marks are written: under the key aws/s3, which whoever may read
// in this account may use, and neither a distribution nor the public.
// Source: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
func sealed() *s3.PutObjectInput {
	return &s3.PutObjectInput{CacheControl: aws.String("private, no-store"), ServerSideEncryption: s3types.ServerSideEncryptionAwsKms}
}

func (s *Store) put(ctx context.Context, key string, was Object, data []byte, in *s3.PutObjectInput) (*s3.PutObjectOutput, error) {
	account, err := s.conn.Account(ctx)
	if err != nil {
		return nil, err
	}
	in.Bucket, in.Key, in.ExpectedBucketOwner = aws.String(s.cfg.Bucket), aws.String(key), aws.String(account)
	in.Body, in.ContentType = bytes.NewReader(data), aws.String(contentType)
	if was.tag == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = aws.String(was.tag)
	}
	out, err := s.s3.PutObject(ctx, in)
	if awsclient.IsCode(err, beaten...) {
		return nil, fmt.Errorf("write %s: %w: %w", s.object(key), errBeaten, action.ErrUnavailable)
	}
	if err != nil {
		return nil, s.explain(ctx, err, "write", "s3:PutObject", key)
	}
	return out, nil
}

// errBeaten is of a write whose condition does not hold.
var errBeaten = errors.New("someone else wrote it at the same moment")

// MayWrite asks whether the document and its marks may be written, by writes
// whose condition cannot hold. They carry what is there already, or fresh, so that
// a store which did not know conditions would lose nothing.
func (s *Store) MayWrite(ctx context.Context, fresh []byte) error {
	for key, empty := range map[string][]byte{s.cfg.Key: fresh, s.MarksKey(): []byte("{}")} {
		have, err := s.get(ctx, key)
		if err != nil {
			return err
		}
		in := sealed()
		if key == s.cfg.Key {
			in = &s3.PutObjectInput{CacheControl: aws.String(appstatus.CacheControl), Metadata: map[string]string{writeKey: have.write}}
		}
		if have.Data == nil {
			have.Data = empty
		}
		_, err = s.put(ctx, key, Object{tag: elsewhere}, have.Data, in)
		switch {
		case err == nil:
			return &fault.Fault{Code: fault.Invalid, Summary: "the store does not keep to conditions",
				Detail: fmt.Sprintf("%s of %s was written though it was not as the write asked for: it would be written over what others write. noren needs S3, or a store with conditional writes (If-Match).", s.object(key), s.conn.Env.Name)}
		case !errors.Is(err, errBeaten):
			return err
		}
	}
	return nil
}
