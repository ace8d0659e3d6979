package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/mute"
)

// The words of a mute are its description. Where there is no room in it for the
// mark, which stands on a line of its own, the mark is in tags: tagParts says in how
// many, and tagPart and a number are the parts.
const (
	tagParts = "noren:parts"
	tagPart  = "noren:part:"
	tagValue = 256
	// continued ends a description whose mark is in tags.
	continued = " (continued in its tags)"
)

func descriptionOf(text string) string {
	if utf8.RuneCountInString(text) <= textLimit {
		return text
	}
	words, _, _ := strings.Cut(text, "\n")
	if key := mute.Key(words); utf8.RuneCountInString(words+continued) > textLimit { // a long reason
		head := []rune(words)
		words = string(head[:textLimit-utf8.RuneCountInString(" "+key+continued)]) + " " + key
	}
	return words + continued
}

// tagsOf are the tags of a mark that has no room in the description.
func tagsOf(text string) []types.Tag {
	_, mark, _ := strings.Cut(text, "\n")
	if utf8.RuneCountInString(text) <= textLimit || mark == "" {
		return nil
	}
	var tags []types.Tag
	for part := range slices.Chunk([]byte(mark), tagValue) {
		tags = append(tags, types.Tag{Key: aws.String(tagPart + strconv.Itoa(len(tags))), Value: aws.String(string(part))})
	}
	return append(tags, types.Tag{Key: aws.String(tagParts), Value: aws.String(strconv.Itoa(len(tags)))})
}

// whole is the text of a rule with the mark from its tags. Of one that is not all
// there, package mute says so.
func (b *book) whole(ctx context.Context, name, arn, description string) (string, error) {
	out, err := b.api.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceARN: aws.String(arn)})
	if err != nil {
		return "", b.conn.Classify(err, "read the tags of alarm mute rule "+name)
	}
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	n, _ := strconv.Atoi(tags[tagParts]) // none where somebody took it away
	mark := ""
	for i := range min(n, awsclient.MostTags) { // whoever may tag it may have written any number
		mark += tags[fmt.Sprint(tagPart, i)]
	}
	return description + "\n" + mark, nil
}

func (b *book) tag(ctx context.Context, name string, tags []types.Tag) error {
	rule, err := b.api.GetAlarmMuteRule(ctx, &sdk.GetAlarmMuteRuleInput{AlarmMuteRuleName: aws.String(name)})
	if err != nil {
		return b.conn.Classify(err, "read alarm mute rule "+name)
	}
	_, err = b.api.TagResource(ctx, &sdk.TagResourceInput{ResourceARN: rule.AlarmMuteRuleArn, Tags: tags})
	return b.conn.Classify(err, "tag alarm mute rule "+name)
}
