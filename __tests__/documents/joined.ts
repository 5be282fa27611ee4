import { globSync } from 'node:fs'
import ts from 'typescript'
import { readDocument } from './markdown.js'

const parse = (text: string) => ts.createSourceFile('snippet.ts', text, ts.ScriptTarget.ESNext, true)

/** The names that the statements of a file bind at its top: imported or declared. */
function boundBy(text: string): Set<string> {
  const names = new Set<string>()
  for (const statement of parse(text).statements) {
    const visit = (node: ts.Node): void => {
      if (ts.isImportSpecifier(node) || ts.isImportClause(node) || ts.isNamespaceImport(node)) {
        if (node.name) names.add(node.name.text)
      }
      if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name)) names.add(node.name.text)
      if (ts.isFunctionDeclaration(node)) {
        if (node.name) names.add(node.name.text)
        return // what is declared within is its own
      }
      if (!ts.isArrowFunction(node) && !ts.isFunctionExpression(node)) ts.forEachChild(node, visit)
    }
    visit(statement)
  }
  return names
}

const exportedBy = (base: string): string[] => {
  const text = readDocument(`__tests__/documents/bases/${base}.ts`)
  const own = [...text.matchAll(/^export (?:async )?(?:const|function) (\w+)/gm)].map(([, name = '']) => name)
  const handedOn = [...text.matchAll(/^export \{ (\w+) \}/gm)].map(([, name = '']) => name)
  const others = [...text.matchAll(/^export \* from '\.\/(\w+)\.js'/gm)].flatMap(([, other = '']) => exportedBy(other))
  return [...own, ...handedOn, ...others]
}

/** The bases that a snippet can continue. */
export const bases = globSync('__tests__/documents/bases/*.ts').map((path) => path.replace(/.*[\\/]|\.ts$/g, ''))

/** The snippet as a file: what it uses of its base and does not bring itself is imported, on its first line. */
export function joined(code: string, base: string, folder: string): string {
  if (!bases.includes(base)) return `${code}\nexport {}\n`
  const bound = boundBy(code)
  const missing = exportedBy(base).filter((name) => !bound.has(name) && new RegExp(`\\b${name}\\b`).test(code))
  const check = base === 'prisma' ? `\nimport { check } from '${folder}/${base}.js'\nawait check({ onSuccess })` : ''
  return `import { ${missing.join(', ')} } from '${folder}/${base}.js'; ${code}\nexport {}${check}\n`
}
