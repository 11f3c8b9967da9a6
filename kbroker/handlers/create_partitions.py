

async def handle(request, ctx):
    return await ctx.services.controller.send(request)
