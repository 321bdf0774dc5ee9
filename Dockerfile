FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY packages/client/package.json ./packages/client/
COPY packages/server/package.json ./packages/server/
# Built below, when the sources are there.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build
RUN npm prune --omit=dev --no-save

FROM node:24-slim
ENV NODE_ENV=production
ENV DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/packages/server ./packages/server
# 1000 is the image's user "node"; by number, so that an orchestrator can see that it is not root.
RUN mkdir /data /access /backups && chown 1000:1000 /data /access /backups
USER 1000
VOLUME /data
EXPOSE 3001
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["node", "packages/server/dist/server/cli/main.cjs", "health"]
# AUTH is not set on purpose: the server refuses to start until its administrator has chosen.
CMD ["node", "--max-semi-space-size=16", "packages/server/dist/server/main.js"]
