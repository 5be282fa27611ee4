/*
 * Sends one callback through an instrumented build of `lib/` and prints the files that it passes, from the middleware to the handler's first
 * line. A room is a file outside `util/` that has a function which gets the callback as an argument: the request, or a value made from it that
 * holds its order number. A climb is a call back into an earlier room by a file that does not import that room, such as an inbox that calls a
 * function it was given. `--assert` fails if there are more rooms than the goal, or a climb; `--all` prints every call.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, IncomingMessage } from 'node:http'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const goals = { memory: 15, SQLite: 18 }
const order = 'walked-order'
const secret = 'a secret of the walk'
const query = `conversion=success&referrer_name=Robert+Downy&referrer_email=robert%40example.com&referee_name=Cristian+Bale&referee_email=cristian%40example.com&orderID=${order}&purchaseValue=1000&referrer_converts=2&goal_complete=0`

/** The calls that the instrumented functions report: the file of the function, and the file of its caller. */
class Walk {
  calls = []
  isRecording = false
  #current

  enter(file, name, given) {
    const caller = this.#current
    let isResumed = false
    if (this.isRecording && given.some((value) => carries(value))) this.calls.push({ file, name, caller })
    this.#current = file
    const leave = (value) => {
      this.#current = isResumed ? undefined : caller
      return value
    }
    const resume = (value) => {
      isResumed = true
      this.#current = file
      return value
    }
    return { leave, resume }
  }
}

const deepest = 4

/** Whether a value holds the order number of the callback, at any depth. */
function carries(value, depth = 0) {
  if (typeof value === 'string') return value.includes(order)
  if (typeof value !== 'object' || value === null || depth > deepest) return false
  if (value instanceof Map || value instanceof Set) return [...value.values()].some((each) => carries(each, depth + 1))
  if (value instanceof IncomingMessage) return carries(value.url) || carries(value.originalUrl)
  return (Array.isArray(value) || isPlain(value)) && Object.values(value).some((each) => carries(each, depth + 1))
}

function isPlain(value) {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** Writes the files of `lib/` to a folder as instrumented JavaScript. */
function compile(folder) {
  const config = ts.readConfigFile(join(root, 'tsconfig.build.json'), ts.sys.readFile).config
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const emitted = {
    noEmit: false,
    declaration: false,
    emitDeclarationOnly: false,
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Node10,
    verbatimModuleSyntax: false,
    ignoreDeprecations: '6.0',
  }
  const program = ts.createProgram(fileNames, { ...options, ...emitted, outDir: folder })
  program.emit(undefined, (path, text) => {
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, instrumented(text, relative(folder, path)))
  })
}

/** Makes each function report when it begins, awaits, resumes and ends. */
function instrumented(text, file) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const inserts = []
  const insert = (at, what) => inserts.push({ at, what })
  const visit = (node) => {
    if (ts.isAwaitExpression(node)) {
      insert(node.getStart(), '__room.resume(')
      insert(node.expression.getStart(), '__room.leave(')
      insert(node.expression.getEnd(), ')')
      insert(node.getEnd(), ')')
    }
    if (ts.isFunctionLike(node) && node.body && !node.asteriskToken) {
      const name = node.name ? node.name.getText() : (node.parent.name?.getText() ?? '')
      const given = node.parameters.flatMap((parameter) => boundBy(parameter.name)).join(', ')
      const begin = `{ const __room = globalThis.walk.enter(${JSON.stringify(file)}, ${JSON.stringify(name)}, [${given}]); try {`
      const isBlock = ts.isBlock(node.body)
      const whole = node.body
      insert(whole.getStart(), begin + (isBlock ? '' : ' return ('))
      ts.forEachChild(node, visit)
      insert(whole.getEnd(), (isBlock ? '' : ')') + ' } finally { __room.leave() } }')
      return
    }
    ts.forEachChild(node, visit)
  }
  ts.forEachChild(source, visit)
  let done = text
  // Inserts at the same position keep their order.
  for (const { at, what } of inserts
    .map((each, index) => ({ ...each, index }))
    .sort((a, b) => b.at - a.at || b.index - a.index)) {
    done = done.slice(0, at) + what + done.slice(at)
  }
  return done
}

/** The variable names that a parameter declares. */
function boundBy(name) {
  if (ts.isIdentifier(name)) return [name.text]
  return name.elements.flatMap((element) => (ts.isOmittedExpression(element) ? [] : boundBy(element.name)))
}

/** All files that a file imports, directly or indirectly, including imports of types. */
function importsOf() {
  const lib = join(root, 'lib')
  const direct = new Map()
  for (const entry of readdirSync(lib, { recursive: true })) {
    if (!entry.endsWith('.ts')) continue
    const { importedFiles } = ts.preProcessFile(readFileSync(join(lib, entry), 'utf8'))
    const files = importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    direct.set(
      entry.replace(/\.ts$/, '.js'),
      files.map(({ fileName }) => join(entry, '..', fileName)),
    )
  }
  const reach = (file, seen = new Set()) => {
    for (const next of direct.get(file) ?? []) if (!seen.has(next)) reach(next, seen.add(next))
    return seen
  }
  return new Map([...direct.keys()].map((file) => [file, reach(file)]))
}

/** The rooms of the calls in their order, and the climbs. */
function roomsOf(calls, imports) {
  const rooms = []
  const climbs = []
  for (const { file, name, caller } of calls) {
    if (file.startsWith('util/') || file.endsWith('.generated.js')) continue
    const isBack = rooms.includes(file)
    if (!isBack) rooms.push(file)
    else if (caller !== undefined && caller !== file && !imports.get(caller)?.has(file))
      climbs.push(`${caller} -> ${file}: ${name}`)
  }
  return { rooms, climbs }
}

async function walkThrough(folder, openInbox) {
  const walk = (globalThis.walk = new Walk())
  const { conversionWebhook } = await import(pathToFileURL(join(folder, 'index.js')))
  let arrived
  const handled = new Promise((resolve) => (arrived = resolve))
  const onSuccess = () => {
    if (walk.isRecording) arrived()
    walk.isRecording = false
  }
  const webhook = conversionWebhook({ onSuccess }, { secret, inbox: await openInbox(folder) })
  const server = createServer((req, res) => webhook(req, res)).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const ask = (orderId) =>
    fetch(`http://127.0.0.1:${server.address().port}/${encodeURIComponent(secret)}?${query.replace(order, orderId)}`)
  await ask('another') // a first callback, so that work that is done once does not count
  await new Promise((resolve) => setTimeout(resolve, 200))
  walk.isRecording = true
  const response = await ask(order)
  if (response.status !== 200) throw new Error(`the callback was answered with ${response.status}`)
  await handled
  await webhook.close()
  server.close()
  server.closeAllConnections()
  return walk.calls
}

mkdirSync(join(root, 'node_modules/.cache'), { recursive: true })
const folder = mkdtempSync(join(root, 'node_modules/.cache/walk-'))
try {
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }')
  compile(folder)
  const imports = importsOf()
  const ways = {
    memory: async () => (await import(pathToFileURL(join(folder, 'index.js')))).memoryInbox(),
    SQLite: async () => (await import(pathToFileURL(join(folder, 'sqlite.js')))).sqliteInbox(join(folder, 'walk.db')),
  }
  for (const [name, openInbox] of Object.entries(ways)) {
    const calls = await walkThrough(folder, openInbox)
    const { rooms, climbs } = roomsOf(calls, imports)
    console.log(`${name}: ${rooms.length} rooms (goal ${goals[name]}), ${climbs.length} climbs`)
    for (const room of rooms) console.log(`  ${room}`)
    for (const climb of climbs) console.log(`  climb: ${climb}`)
    if (process.argv.includes('--all'))
      for (const { file, name: called, caller } of calls) console.log(`    ${caller ?? '-'} -> ${file} ${called}`)
    const isMet = rooms.length <= goals[name] && climbs.length === 0
    if (process.argv.includes('--assert') && !isMet) process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
