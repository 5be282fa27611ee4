import { globSync } from 'node:fs'
import ts from 'typescript'
import { documents, readDocument, snippets } from './markdown.js'

/** A piece of a document, or an example, that asks for or books money: it has a `confirm` or calls `commit`. */
export interface Recipe {
  /** Its document, and the line where that has several; or its file. */
  readonly name: string
  readonly code: string
  readonly database: 'sqlite' | 'postgres'
  /** Its `confirm` as JavaScript, without the line that looks the order up. Undefined where there is none. */
  readonly confirm: string | undefined
  readonly commits: boolean
}

const code = (text: string) => ts.createSourceFile('recipe.ts', text, ts.ScriptTarget.ESNext, true)

/** Every recipe there is. */
export function findRecipes(): Recipe[] {
  const printed = documents.flatMap((document) =>
    snippets(readDocument(document))
      .filter(({ language }) => language === 'ts' || language === 'js')
      .map((snippet) => ({ name: `${document}:${String(snippet.line)}`, code: snippet.code })),
  )
  const examples = globSync('examples/*.{ts,mjs,cjs}').map((name) => ({ name, code: readDocument(name) }))
  return [...printed, ...examples].map(read).filter(({ confirm, commits }) => confirm !== undefined || commits)
}

export function read({ name, code: text }: { readonly name: string; readonly code: string }): Recipe {
  let confirm: string | undefined
  let commits = false
  const visit = (node: ts.Node): void => {
    if (isConfirm(node)) confirm = shapeOf(node)
    if (ts.isCallExpression(node) && /(^|\.)commit$/.test(node.expression.getText())) commits = true
    ts.forEachChild(node, visit)
  }
  visit(code(text))
  return { name, code: text, database: text.includes('postgresInbox') ? 'postgres' : 'sqlite', confirm, commits }
}

function isConfirm(node: ts.Node): boolean {
  const hasBody =
    ts.isMethodDeclaration(node) ||
    ts.isFunctionDeclaration(node) ||
    ts.isPropertyAssignment(node) ||
    (ts.isVariableDeclaration(node) && node.initializer !== undefined)
  return hasBody && node.name?.getText() === 'confirm'
}

/** The same for the same rules: types, indentation, `async` and the lookup aside. */
function shapeOf(confirm: ts.Node): string {
  return confirm
    .getText()
    .replace(/^async /, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !line.startsWith('const order = '))
    .join('\n')
}
