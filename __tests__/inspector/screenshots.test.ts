import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { conversionWebhook } from '../../lib/index.js'
import { conversionInspector } from '../../lib/inspector.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { callbacksOf } from '../../lib/cli/dummy.js'
import { settled } from '../contract/inboxes.js'
import { browserPath, launch, openPage } from '../support/browser.js'
import { closeServers, listen } from '../support/servers.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/*
 * Takes the pictures of the README: `npm run screenshots`. The data is dummy callbacks; their times are spread over a month in the file.
 */

const folder = temporaryFolder()
afterAll(async () => {
  await closeServers()
  folder.remove()
})

const pictures = {
  light: { viewport: { width: 1200, height: 940 } },
  dark: { viewport: { width: 1200, height: 940 }, colorScheme: 'dark' },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 },
} as const

const testPictures = browserPath !== undefined && hasSqlite ? test : test.skip

testPictures(
  'the pictures of the README are taken',
  async () => {
    const file = folder.file('conversions.db')
    const inbox = sqliteInbox(file)
    const fail = ({ orderId = '' }: { orderId?: string }) => {
      if (/-(97|4)$/.test(orderId)) throw new Error('the account is locked')
    }
    const handlers = { onSuccess: fail, onPending: () => undefined, onFail: () => undefined, onError: () => undefined }
    const webhook = conversionWebhook(handlers, { secret: false, inbox, maxAttempts: 1 })
    const plan = {
      status: 'mixed',
      goal: 0,
      conversions: 260,
      repeat: 1,
      outOfOrder: false,
      set: {},
      seed: 11,
    } as const
    const callbacks = callbacksOf(plan)
    for (let place = 0; place < 300; place++) await webhook.accept(callbacks.at(place % 260))
    await webhook.accept({ ...callbacksOf({ ...plan, seed: 13 }).at(0), purchaseValue: '$ 49.90' })
    await settled(inbox)
    const db = openFile(file)
    const back = db.prepare('UPDATE conversion_webhook_deliveries SET received_at = received_at - ? WHERE number = ?')
    for (let number = 1; number <= 260; number++) {
      const day = Math.floor(((260 - number) / 260) ** 1.3 * 30 + 2 * Math.sin(number))
      back.run(Math.max(0, day) * 86_400_000 + number * 7_000, number)
    }
    db.exec(`DELETE FROM conversion_webhook_days; INSERT INTO conversion_webhook_days (day, event_key, count)
      SELECT received_at / 86400000, event_key, count(*) FROM conversion_webhook_deliveries GROUP BY 1, 2`)
    db.close()

    const inspector = conversionInspector(inbox, { authorize: () => true })
    const { url } = await listen((req, res) => inspector(req, res))
    const browser = await launch()
    const images = join(__dirname, '../../docs/images')
    for (const [name, options] of Object.entries(pictures)) {
      const { page } = await openPage(browser, url, options)
      await page.getByText('50 shown, older ones exist.').waitFor()
      expect(await page.locator('#callbacks dd').allTextContents()).toEqual(['260', '40', '0', '0', '1'])
      expect(await page.locator('#plot canvas').boundingBox()).toMatchObject({ height: 200 })
      const path = join(images, `inspector-${name}.png`)
      if (process.env.SCREENSHOTS === '1') {
        mkdirSync(images, { recursive: true })
        await page.screenshot({ path })
      }
      expect(existsSync(path)).toBe(true)
    }
    await browser.close()
    await webhook.close()
  },
  60_000,
)
