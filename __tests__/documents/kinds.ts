import { documents, readDocument, snippets, type Snippet } from './markdown.js'

/*
 * Every fenced block of a document is of one of these kinds, by its language and the word after it, and every kind is run or says why not.
 */
export const kinds = {
  ts: 'a whole file: compiled and run as it is',
  'ts app': 'continues the app of the README: compiled and run with bases/app.ts',
  'ts shop': "continues that app with functions of the reader's shop: compiled and run with bases/shop.ts",
  'ts test': 'a whole file: compiled and run by `node --test`',
  js: 'a whole file: run as it is',
  'js prisma': 'a handler: run with bases/prisma.ts',
  sh: 'run in the folder of an app that has the package',
  'sh server': 'run beside a server with the webhook',
  'sh forever': 'run until it says where it listens, then ended by Ctrl-C',
  'sh install': 'run by readme.test.ts with the packed tarball',
  sql: 'run by shops.ts, as the tables of the shop',
  'sh clone': 'not run here: commands of this repository, which take long; links.test.ts finds each of their scripts',
  text: 'not run: output',
  mermaid: 'not run: a diagram',
  nginx: 'not run: configuration of other software',
} as const

export type Kind = keyof typeof kinds

export interface Found extends Snippet {
  readonly document: string
  readonly name: string
  readonly kind: string
}

/** Every snippet of every document. */
export const found: readonly Found[] = documents.flatMap((document) =>
  snippets(readDocument(document)).map((snippet) => ({
    ...snippet,
    document,
    name: `${document}:${String(snippet.line)}`,
    kind: `${snippet.language} ${snippet.mark}`.trim(),
  })),
)

export const ofKind = (...wanted: readonly Kind[]) => found.filter(({ kind }) => wanted.some((each) => each === kind))
