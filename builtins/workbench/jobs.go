package workbench

import (
	"embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed starters
var starters embed.FS

// Job is something that templates are often written for.
type Job struct {
	Name      string
	Text      string
	templates []string // names of starters
	response  bool     // a template by itself is for the response
	media     string   // of what the templates are given
}

// Jobs returns the jobs that there are templates for.
func Jobs() []Job {
	const json = "application/json"
	return []Job{
		{Name: "passthrough", Text: "hand body, parameters, stage variables and context on", templates: []string{"passthrough"}, media: json},
		{Name: "dynamodb-put", Text: "store the body as an item of DynamoDB", templates: []string{"dynamodb-put", "dynamodb-put-answer"}, media: json},
		{Name: "dynamodb-query", Text: "read items of DynamoDB, page by page, as plain JSON", templates: []string{"dynamodb-query", "dynamodb-query-answer"}, media: json},
		{Name: "sqs", Text: "send the body to a queue of SQS", templates: []string{"sqs", "sqs-answer"}, media: json},
		{Name: "sns", Text: "publish the body to a topic of SNS", templates: []string{"sns"}, media: json},
		{Name: "kinesis", Text: "put the body's records into a stream of Kinesis", templates: []string{"kinesis"}, media: json},
		{Name: "step-functions", Text: "start an execution of Step Functions", templates: []string{"step-functions", "step-functions-answer"}, media: json},
		{Name: "s3", Text: "store the body as an object of S3", templates: []string{"s3"}, media: "$default"},
		{Name: "json-to-xml", Text: "make a SOAP request of JSON", templates: []string{"json-to-xml"}, media: json},
		{Name: "xml-to-json", Text: "make JSON of a SOAP answer", templates: []string{"xml-to-json"}, response: true, media: json},
	}
}

// JobNames returns the names of Jobs.
func JobNames() []string {
	var names []string
	for _, job := range Jobs() {
		names = append(names, job.Name)
	}
	return names
}

// FindJob returns the job called name.
func FindJob(name string) (*Job, error) {
	for _, job := range Jobs() {
		if job.Name == name {
			return &job, nil
		}
	}
	return nil, fmt.Errorf("there is no job %q; %s", name, unknown(name, JobNames()))
}

// Create writes the job's templates into dir, and their cases into dir/tests. It
// returns the files. One that is there already is an error, and nothing is written.
func (j *Job) Create(dir string) (files []string, err error) {
	names := j.files()
	for _, name := range names {
		files = append(files, filepath.Join(dir, filepath.FromSlash(name)))
	}
	for _, name := range files {
		if _, err := os.Lstat(name); err == nil {
			return nil, fmt.Errorf("%s is there already; move it away, or write to another folder with --dir", name)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "tests"), 0o755); err != nil {
		return nil, err
	}
	for i, name := range files {
		text, err := starters.ReadFile(path.Join("starters", names[i]))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// files returns the job's files in starters.
func (j *Job) files() []string {
	entries, err := starters.ReadDir("starters/tests")
	if err != nil {
		panic(err) // it is embedded
	}
	var all []string
	for _, t := range j.templates {
		all = append(all, t+TemplateSuffix)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), t+".") {
				all = append(all, path.Join("tests", e.Name()))
			}
		}
	}
	return all
}

// Configuration returns the lines that make a route use the templates in dir.
func (j *Job) Configuration(dir string) string {
	var b strings.Builder
	for i, t := range j.templates {
		table, media := `"POST /x".integration`, j.media
		if i > 0 || j.response {
			table, media = `"POST /x".response.default`, "application/json"
		}
		fmt.Fprintf(&b, "  [api.NAME.route.%s]\n  template.%q = { file = %q }\n", table, media, filepath.ToSlash(filepath.Join(dir, t+TemplateSuffix)))
	}
	return b.String()
}
