/*
 * One app of bench/http.mjs: `node server.mjs <framework> <variant>`. All variants answer the same 200 JSON to the same callback:
 * `noop` has a middleware that only calls next(), `recorder` is the floor, `ours` is the package, `sqlite` the package with that inbox, the others check the ten parameters with a validation library.
 */
import { createServer } from 'node:http'
import connect from 'connect'
import express from 'express'
import { query, validationResult } from 'express-validator'
import { z } from 'zod'
import { conversionWebhook } from 'conversion-webhook'
import { sqliteInbox } from 'conversion-webhook/sqlite'
import { recorder } from './recorder.mjs'

const [framework, variant] = process.argv.slice(2)

const answer = (_req, res) => {
  if (res.json) return res.json({ outcome: 'accepted' }) // what an Express app would write
  res.setHeader('Content-Type', 'application/json')
  res.end('{"outcome":"accepted"}')
}
const refuse = (res) => {
  res.statusCode = 422
  res.end()
}

const email = (name) => query(name).optional().trim().isEmail()
const chain = [
  query('conversion').trim().toLowerCase().isIn(['success', 'fail', 'pending']),
  query('referrer_name').optional().isLength({ max: 1_024 }),
  email('referrer_email'),
  query('referee_name').optional().isLength({ max: 1_024 }),
  email('referee_email'),
  query('orderID').optional().trim().isLength({ min: 1, max: 255 }),
  query('purchaseValue').optional().trim().isDecimal(),
  query('referrer_converts').optional().trim().isInt({ min: 0 }),
  query('referrer_customValue').optional().isLength({ max: 8_192 }),
  query('goal_complete').optional().isIn(['0', '1']),
]
const schema = z.object({
  conversion: z
    .string()
    .trim()
    .toLowerCase()
    .pipe(z.enum(['success', 'fail', 'pending'])),
  referrer_name: z.string().max(1_024).optional(),
  referrer_email: z.string().trim().email().optional(),
  referee_name: z.string().max(1_024).optional(),
  referee_email: z.string().trim().email().optional(),
  orderID: z.string().trim().min(1).max(255).optional(),
  purchaseValue: z
    .string()
    .trim()
    .regex(/^-?\d+(\.\d+)?$/)
    .transform(Number)
    .optional(),
  referrer_converts: z.string().trim().regex(/^\d+$/).transform(Number).optional(),
  referrer_customValue: z.string().max(8_192).optional(),
  goal_complete: z.enum(['0', '1']).optional(),
})

const variants = {
  noop: [(_req, _res, next) => next(), answer],
  recorder: () => [recorder({ onSuccess: () => undefined }, { secret: 'a-secret-of-the-benchmark' })],
  ours: () => [conversionWebhook({ onSuccess: () => undefined }, { secret: 'a-secret-of-the-benchmark' })],
  sqlite: () => [
    conversionWebhook(
      { onSuccess: () => undefined },
      { secret: 'a-secret-of-the-benchmark', inbox: sqliteInbox(process.env.FILE) },
    ),
  ],
  'express-validator': [chain, (req, res) => (validationResult(req).isEmpty() ? answer(req, res) : refuse(res))],
  zod: [(req, res) => (schema.safeParse(req.query).success ? answer(req, res) : refuse(res))],
}

const chosen = variants[variant]
const middlewares = (typeof chosen === 'function' ? chosen() : chosen).flat()
const listeners = {
  express: () => express().use('/webhook', ...middlewares),
  connect: () => middlewares.reduce((app, middleware) => app.use('/webhook', middleware), connect()),
  http: () => {
    const [first, last] = middlewares
    return last ? (req, res) => first(req, res, () => last(req, res)) : (req, res) => first(req, res)
  },
}
const server = createServer(listeners[framework]())
server.listen(0, '127.0.0.1', () => process.send(server.address().port))
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send(user + system)
})
process.once('disconnect', () => process.exit())
