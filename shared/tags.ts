/** Tags in the text form of a rich text, and what a JSON device would take for one. */

const NAME = '[A-Za-z_\\u00c0-\\uffff][^\\s<>/=]*';
const VALUE = `(?:"[^"]*"|'[^']*'|[^\\s"'<>=]+)`;
/** "RR < 90 and HR > 100" has none, nor has "a<b and c>d". */
const TAG = `</?${NAME}(?:\\s+[^\\s<>/=]+\\s*=\\s*${VALUE})*\\s*/?>`;
const [TAGS, AT_TAGS] = [new RegExp(TAG, 'g'), new RegExp(`(${TAG})`)];

export const tagsIn = (text: string): string[] => text.match(TAGS) ?? [];

/** @example splitAtTags('<b>a</b>') // ['', '<b>', 'a', '</b>', ''] */
export const splitAtTags = (text: string): string[] => text.split(AT_TAGS);
